#pragma once
#include <array>
#include <cstdint>

#include "vla_rt/constraints/violation_counter.hpp"
#include "vla_rt/core/robot.hpp"
#include "vla_rt/execution/controller.hpp"
#include "vla_rt/execution/flight_recorder.hpp"
#include "vla_rt/execution/inference_worker.hpp"
#include "vla_rt/execution/inline_policy.hpp"
#include "vla_rt/execution/run_report.hpp"
#include "vla_rt/execution/tick_recorder.hpp"
#include "vla_rt/execution/violation_log.hpp"
#include "vla_rt/rt/latency_histogram.hpp"
#include "vla_rt/rt/realtime_thread.hpp"

namespace vla_rt {

// One period of a ControlLoop: read, tick, write, judge, record. Ends itself once the motion has ended.
class TickTask final : public PeriodicTask {
 public:
  // Either `worker` or `inline_policy` makes the chunks, the other is null; `first` is the measurement the
  // controller was reset to; `log` and `flight` may be null.
  TickTask(Robot& robot, Controller& controller, InferenceWorker* worker, InlinePolicy* inline_policy,
           TickRecorder& recorder, const JointLimits& limits, ViolationLog* log, FlightRecorder* flight,
           const RobotState& first, double duration_s);

  bool tick(const TickTime& time) noexcept VLA_RT_NONBLOCKING override;
  // Fills everything the tick itself counts. After the last tick.
  void report(RunReport& report) const;

 private:
  void record(const TickTime& time, TimeNs compute_ns) noexcept;
  void record_flight() noexcept;

  Robot& robot_;
  Controller& controller_;
  InferenceWorker* worker_;
  InlinePolicy* inline_policy_;
  TickRecorder& recorder_;
  ViolationLog* log_;
  FlightRecorder* flight_;
  ViolationCounter judge_;
  const TimeNs duration_ns_, busy_ns_;  // of a period, what the tick may fill
  TimeNs first_ns_ = 0, last_ns_ = 0;
  RobotState state_;
  RobotCommand command_;
  TickRecord record_;
  FlightTick flight_tick_;
  FlightSnapshot snapshot_;
  LatencyHistogram wakeup_, compute_;
  std::array<std::uint64_t, 6> status_counts_{};
  std::uint64_t ticks_ = 0, missed_ = 0;
};

}  // namespace vla_rt
