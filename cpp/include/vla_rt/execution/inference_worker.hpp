#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/robot.hpp"
#include "vla_rt/core/robot_state.hpp"
#include "vla_rt/execution/chunk_source.hpp"
#include "vla_rt/execution/controller.hpp"
#include "vla_rt/rt/latency_histogram.hpp"

namespace vla_rt {

class FlightRecorder;

/// When the policy is asked, and how long its end is waited for.
struct InferenceConfig {
  /// Inferences per second; 0: as late as possible so that the next chunk still comes before the executor's
  /// `execution_horizon` asks for it (95 % of the latest latencies, plus a margin) and before the plan ends
  /// (all of them).
  double rate_hz = 0;
  /// Time per tick for a small native package that runs inside the tick [s], see InlinePolicy; 0: the policy
  /// has a thread of its own.
  double inline_budget_s = 0;
  double stop_timeout_s = 1.0;  ///< longest wait for a policy that is busy when the worker shall end

  /// Throws ConfigError naming field, value and bound.
  VLA_RT_API void validate() const;
};

/// One chunk that became the plan.
struct Handover {
  TimeNs time_ns = 0;            ///< when
  TimeNs delay_ns = 0;           ///< after its observation
  TimeNs expected_delay_ns = 0;  ///< what was expected when it was asked for; in mode Rtc the sampler's delay
  TimeNs remaining_ns = 0;       ///< how much plan was left; 0: starved
  int dropped_rows = 0;          ///< rows that were older than now
  std::uint64_t sequence = 0;    ///< of the chunk
};

/// What came of the inferences so far.
struct InferenceStats {
  std::uint64_t chunks = 0;    ///< handed to the controller
  std::uint64_t failures = 0;  ///< the robot's `observe` or the policy threw
  std::uint64_t refused =
      0;  ///< observation or chunk held a NaN or infinity, or the controller refused the chunk
  std::string last_error;           ///< text of the newest failure or refusal; empty when there was none
  LatencySummary latency;           ///< of the policy alone
  LatencySummary delay;             ///< from observation to hand-over
  std::vector<Handover> handovers;  ///< the newest `InferenceWorker::kMaxHandovers`, oldest first
  bool running = false;
};

/// The thread that turns the newest state into chunks: state -> Robot::observe -> ChunkSource::infer ->
/// Controller.
///
/// Nothing that goes wrong in it ends it: exceptions and bad numbers are counted and the next observation is
/// tried. In mode Rtc it shows the policy what its chunk must continue: the rows of the plan from the
/// observation's time on, the delay to expect, and as the prefix end the horizon minus the executor's
/// `execution_horizon`. A policy that never returns cannot hold up the end: after `stop_timeout_s` its thread
/// is let go; robot and policy are shared with it and live until it returns, and whatever it still returns is
/// thrown away. Thread: `post_state` the control thread, `start` and `stop` the owner; the rest any.
class VLA_RT_API InferenceWorker {
 public:
  static constexpr std::size_t kMaxHandovers = 4096;

  /// `controller`, and the recorder of the chunks where there is one, must outlive `stop()`. Throws
  /// ConfigError for a bad configuration or a missing robot or source.
  InferenceWorker(std::shared_ptr<Robot> robot, std::shared_ptr<ChunkSource> source, Controller& controller,
                  const InferenceConfig& config, FlightRecorder* flight = nullptr);
  /// Stops.
  ~InferenceWorker();
  InferenceWorker(const InferenceWorker&) = delete;
  InferenceWorker& operator=(const InferenceWorker&) = delete;

  /// Starts the thread; a second call does nothing. A worker that was stopped stays so.
  void start();
  /// The newest measurement. Real-time: wait-free, no allocation.
  void post_state(const RobotState& state) noexcept VLA_RT_NONBLOCKING;
  /// Asks for the end; returns at once. No chunk is handed over after a policy call that is then in progress.
  void request_stop() noexcept;
  /// Ends the thread. False when the policy did not return within `stop_timeout_s` and its thread was let go.
  bool stop() noexcept;
  [[nodiscard]] InferenceStats stats() const;

 private:
  struct Shared;  // outlives the worker when its thread was let go
  std::shared_ptr<Shared> shared_;
};

}  // namespace vla_rt
