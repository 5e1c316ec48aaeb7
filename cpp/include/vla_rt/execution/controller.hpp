#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/robot_command.hpp"
#include "vla_rt/core/robot_state.hpp"
#include "vla_rt/core/status.hpp"
#include "vla_rt/execution/cartesian_actions.hpp"
#include "vla_rt/execution/chunk_executor.hpp"
#include "vla_rt/execution/fault.hpp"

namespace vla_rt {

/// What a Controller needs to know besides the limits.
struct ControllerConfig {
  double period_s = 0.001;       ///< nominal time between ticks [s], in [1e-6, 1]
  ChunkExecutorConfig executor;  ///< how chunks become a wish; its `action_dim` 0 means that of the actions
  std::optional<CartesianConfig> cartesian;  ///< for actions of the tool; without: rows are joint positions
  EnforcerOptions enforcer;                  ///< how the wish is followed
  std::optional<Kinematics> kinematics;      ///< of the arm; needed where there are surroundings
  Surroundings surroundings;                 ///< walls and obstacles that the command keeps clear of
  double state_timeout_s = 0.1;              ///< an older measurement is stale
  double plan_timeout_s = 0;                 ///< a plan from an older observation is stale; 0: until it ends
  double max_following_error =
      0.5;                  ///< [rad] or [m] between command and measurement, any joint; 0: not checked
  double watchdog_s = 5.0;  ///< longest time without a fresh chunk; 0: not checked

  /// Throws ConfigError naming field, value and bound. What the executor checks itself is left to it.
  VLA_RT_API void validate() const;
};

/// The control tick: newest chunk and measurement in, one safe command out. The part to embed in a vendor's
/// callback.
///
/// Every tick checks the measurement, asks the ChunkExecutor for the wish at this time (CartesianActions
/// turns one of the tool into one of the joints), lets the ConstraintEnforcer turn it into a command with a
/// certified stop, and checks that the command is finite; nothing comes after. A command is written whatever
/// happens. The commanded motion advances by the nominal period, also when a tick comes late; the time at
/// which the plan is asked then does the same and catches up with `now` smoothly, so that late ticks are no
/// jumps.
///
/// Status, worst first: Fault follows the certified stop and stays until `reset()`. NonFinite or Stale
/// measurements, and a stale plan, follow the stop as long as they last. NonFinite is also shown while the
/// worker refuses bad numbers, Starved while no plan covers the present; motion then ends as the executor is
/// told. All but Fault clear at the next valid input, from where the motion is, through the filter.
///
/// Thread: one thread ticks; `push`, `set_input_refused`: one worker thread; `request_stop`, `at_rest`,
/// `fault`: any; `reset` and the rest: while no thread ticks.
class VLA_RT_API Controller {
 public:
  /// Throws ConfigError for a bad configuration or limits, or when the executor's action_dim is not that of
  /// the actions.
  Controller(const ControllerConfig& config, const JointLimits& limits);
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  [[nodiscard]] const ControllerConfig& config() const noexcept;
  [[nodiscard]] int num_joints() const noexcept;
  /// D of the chunks it takes: N, or that of the actions of the tool.
  [[nodiscard]] int action_dim() const noexcept;

  /// Starts anew at rest at the measured `position` (N): no plan, no fault, no stop requested. Throws
  /// ConfigError (and changes nothing) when it is not finite, has another size, or lies outside the limits.
  /// Real-time: no.
  void reset(std::span<const double> position);

  /// One tick at time `now` (steady clock, or whatever clock stamps states and chunks).
  /// Before the first `reset()` the answer is Fault, and the command repeats the measured position at rest,
  /// or is empty (num_joints = 0) when there is none. Real-time: wait-free, no allocation, no system call.
  Status tick(TimeNs now, const RobotState& state, RobotCommand& command) noexcept VLA_RT_NONBLOCKING;
  /// As above with the measurement's own time for `now`; while that stands still, goes back or leaps by more
  /// than 10 s, `now` goes on by the period and the measurement is stale. A clock that leapt ahead is
  /// believed after 100 stamps in a row; one that went back needs a `reset()`.
  Status tick(const RobotState& state, RobotCommand& command) noexcept VLA_RT_NONBLOCKING;

  /// A fresh chunk of actions; only an accepted one feeds the watchdog. Throws ConfigError (and
  /// keeps the old plan) for a wrong shape or a number that is not finite. Real-time: no. Thread: the
  /// worker's.
  PushResult push(const ActionChunk& chunk, PlanInput* planned = nullptr);
  /// The same for the ticking thread; not for actions of the tool. Real-time: no allocation, does not wait or
  /// throw. Thread: the worker's, or the ticking one where there is no worker.
  PushResult try_push(const ActionChunk& chunk, PlanInput* planned = nullptr) noexcept;
  /// Whether the newest observation or chunk was refused for a bad number; shown as NonFinite.
  void set_input_refused(bool refused) noexcept;

  /// From the next tick on: the certified stop, until `reset()`. Also from a signal handler. Thread: any.
  void request_stop() noexcept VLA_RT_NONBLOCKING;
  /// The driver has failed: faults at the next tick. Thread: any.
  void report_driver_error() noexcept VLA_RT_NONBLOCKING;
  /// True when the last command was at rest. Thread: any.
  [[nodiscard]] bool at_rest() const noexcept VLA_RT_NONBLOCKING;
  [[nodiscard]] bool faulted() const noexcept VLA_RT_NONBLOCKING;
  /// True once a stop was requested or a fault found: the motion ends and stays ended. Thread: any.
  [[nodiscard]] bool ending() const noexcept VLA_RT_NONBLOCKING;
  /// The first fault since the last reset; reason None when there is none. Thread: any.
  [[nodiscard]] Fault fault() const noexcept VLA_RT_NONBLOCKING;

  /// Of the last tick: the wish (N) and what the filter made of it. Thread: the ticking one.
  [[nodiscard]] std::span<const double> target() const noexcept;
  /// The wish's velocity (N), as the filter was given it.
  [[nodiscard]] std::span<const double> target_velocity() const noexcept;
  /// The time the plan was asked for, and how fast that passes (1: like the motion's).
  [[nodiscard]] TimeNs plan_time() const noexcept;
  [[nodiscard]] double plan_rate() const noexcept;
  [[nodiscard]] const EnforcerReport& report() const noexcept;
  /// Its log, and what it limited since the last reset.
  [[nodiscard]] const ConstraintEnforcer& enforcer() const noexcept;
  /// False when the last tick followed the certified stop instead of the wish.
  [[nodiscard]] bool follows_plan() const noexcept;
  /// Sequence of the newest accepted chunk; 0 before the first.
  [[nodiscard]] std::uint64_t chunk_sequence() const noexcept;
  [[nodiscard]] const ChunkExecutor& executor() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
