#pragma once
#include <cstdint>
#include <memory>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/observation.hpp"
#include "vla_rt/core/robot.hpp"
#include "vla_rt/core/robot_state.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/execution/chunk_executor.hpp"
#include "vla_rt/execution/controller.hpp"
#include "vla_rt/execution/inference_worker.hpp"
#include "vla_rt/package/policy.hpp"

namespace vla_rt {

class FlightRecorder;

struct InlineConfig {
  double budget_s = 0;     ///< longest time that the policy may take of one tick, in (0, 1]
  double rate_hz = 0;      ///< chunks per second; 0: as late as possible, as `InferenceConfig`
  std::uint64_t seed = 0;  ///< chunk i has the noise of (seed, i)
  /// For tests: what tells the time, also while pieces are measured. Null: the steady clock, and at set-up
  /// the processor time of the thread.
  TimeNs (*clock)() noexcept = nullptr;

  /// Throws ConfigError naming field, value and bound.
  VLA_RT_API void validate() const;
};

/// What an inline policy needs, and what it took.
struct InlineFigures {
  double budget_s = 0;
  double encode_s = 0, step_s = 0, hand_over_s = 0;  ///< longest of each piece, measured at set-up
  int num_steps = 0;                                 ///< per chunk
  std::uint64_t ticks = 0;                           ///< in which a piece was done
  std::uint64_t over_budget = 0;                     ///< of them, that took longer than the budget
  int most_ticks = 0;                                ///< that one chunk was spread over
};

/// A small native policy that runs inside the control tick: no thread, no waiting, chunks in order.
///
/// Every tick it does as many pieces of the chunk in the making (an encode, then one evaluation of the
/// network after another, then the hand-over) as surely fit: before each one the longest time that piece has
/// ever taken at set-up is held against what is left of the budget. So a chunk is spread over as many ticks
/// as it needs and makes none of them late. The chunks are those of `Policy::sample`, bit for bit.
///
/// The feature `observation.state`, where it has D numbers, is the measured positions of the tick that
/// encodes; all others are posted by another thread. A bad number in them or in the network's answer costs
/// that chunk, is counted, and is tried again 20 ms later.
///
/// Thread: `advance` the ticking one; `post` and `observe` one other; `request_stop` any; the rest while no
/// thread ticks.
class VLA_RT_API InlinePolicy {
 public:
  /// Measures the pieces and feeds `executor`, which must outlive this. Throws ConfigError for a policy that
  /// cannot run piece by piece (see `ChunkSampler`), does not fit the executor, or has a piece that takes
  /// longer than the budget: both figures are named.
  InlinePolicy(std::shared_ptr<Policy> policy, ChunkExecutor& executor, const InlineConfig& config);
  /// Feeds a controller, with its watchdog; not for actions of the tool.
  InlinePolicy(std::shared_ptr<Policy> policy, Controller& controller, const InlineConfig& config);
  ~InlinePolicy();
  InlinePolicy(const InlinePolicy&) = delete;
  InlinePolicy& operator=(const InlinePolicy&) = delete;

  /// Gives up the chunk in the making, forgets features and counts; the noise goes on with the next chunk.
  void reset() noexcept;

  /// The share of one tick at `now`; ends before `deadline` (steady clock) and after at most the budget. True
  /// when a chunk was handed over. `flight`, where there is one, is told of every chunk and what became of
  /// it; nobody else may then tell it of chunks. Real-time: no allocation, lock or system call; bounded by
  /// the budget.
  bool advance(const RobotState& state, TimeNs now, TimeNs deadline,
               FlightRecorder* flight = nullptr) noexcept VLA_RT_NONBLOCKING;

  /// Whether there are features that must be posted before the first chunk can begin.
  [[nodiscard]] bool needs_features() const noexcept;
  /// The newest value of every feature that the tick does not measure itself. Throws ConfigError when one is
  /// missing or has another shape. Real-time: no.
  void post(const Observation& observation);
  /// Posts what `robot` observes in the newest state that `advance` was given. Throws what the robot throws,
  /// and ConfigError when its `observation.state` is something else than the measured positions.
  void observe(Robot& robot, const RobotState& state);
  /// The same with the newest state that `advance` saw; what goes wrong is counted. Does nothing where no
  /// feature is needed or no state is new.
  void observe(Robot& robot) noexcept;

  /// No chunk is begun or handed over any more, until `reset`.
  void request_stop() noexcept;
  [[nodiscard]] InferenceStats stats() const;
  [[nodiscard]] InlineFigures figures() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
