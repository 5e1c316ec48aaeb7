#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vla_rt/execution/chunk_executor.hpp"
#include "vla_rt/execution/fault.hpp"
#include "vla_rt/execution/inference_worker.hpp"
#include "vla_rt/execution/inline_policy.hpp"
#include "vla_rt/execution/tick_recorder.hpp"
#include "vla_rt/rt/latency_histogram.hpp"
#include "vla_rt/rt/realtime_thread.hpp"

namespace vla_rt {

/// Jumps between an old chunk and the one that replaced it, before any blend: of every seam the largest of
/// its joints, over all seams that are remembered (`ChunkExecutor::kMaxSeams`).
struct SeamSummary {
  /// Nearest-rank percentiles.
  struct Jump {
    double p50 = 0, p99 = 0, max = 0;
  };
  std::uint64_t count = 0;  ///< of all seams
  Jump position;            ///< [rad] or [m]
  Jump velocity;            ///< [rad/s]
  Jump acceleration;        ///< [rad/s^2]
};

/// What one run of a ControlLoop came to. Everything about motion is measured on the emitted commands.
struct RunReport {
  std::uint64_t ticks = 0;
  double duration_s = 0;              ///< from the first tick to the end of the last, the final stop included
  std::uint64_t deadline_misses = 0;  ///< periods in which no tick ran because one before was late
  LatencySummary wakeup;              ///< tick begins - tick was due
  LatencySummary compute;             ///< read, tick, write and bookkeeping of one tick
  std::int64_t limit_violations = 0;  ///< see ViolationCounter; judged on every emitted command
  std::array<double, 3> worst_limit_ratio{};     ///< velocity, acceleration, jerk relative to their limits
  std::array<std::uint64_t, 6> status_counts{};  ///< ticks by Status
  std::vector<std::int64_t> limited_ticks;  ///< (causes as in kCauses, N) ticks in which a wish was changed
  std::uint64_t unrecorded = 0;             ///< records missing in `ControlConfig::record`
  std::int64_t dropped_violations = 0;      ///< missing in the violation log
  Fault fault;                              ///< reason None when there was none
  std::string fault_text;    ///< one sentence, with the driver's own reason; empty without fault
  bool interrupted = false;  ///< ended early from outside: Ctrl-C, request_stop
  InferenceStats inference;
  std::optional<InlineFigures> in_tick;  ///< where the policy ran inside the tick
  bool inference_abandoned = false;      ///< the policy did not return in time and its thread was let go
  SeamSummary seam;
  std::vector<Seam> seams;    ///< the newest, oldest first
  std::int32_t seam_dim = 0;  ///< numbers of a seam: of the plan, which for tool actions holds poses
  ExecutorCounters executor;  ///< what became of the chunks, and how long none covered the present
  double tracking_rms = 0;    ///< [rad] or [m] measured - commanded
  double limiting_rms = 0;    ///< [rad] or [m] wished - commanded
  RealtimeGrant realtime;
  std::uint64_t dropped_records = 0;  ///< ticks missing in trace and rms because the recorder was behind
  Trace trace;
};

}  // namespace vla_rt
