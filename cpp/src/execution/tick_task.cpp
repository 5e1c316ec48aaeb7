#include "execution/tick_task.hpp"

#include <algorithm>

namespace vla_rt {

TickTask::TickTask(Robot& robot, Controller& controller, InferenceWorker* worker, InlinePolicy* inline_policy,
                   TickRecorder& recorder, const JointLimits& limits, ViolationLog* log,
                   FlightRecorder* flight, const RobotState& first, double duration_s)
    : robot_(robot),
      controller_(controller),
      worker_(worker),
      inline_policy_(inline_policy),
      recorder_(recorder),
      log_(log),
      flight_(flight),
      judge_(limits, controller.config().period_s),
      duration_ns_(from_seconds(duration_s)),
      busy_ns_(from_seconds(0.9 * controller.config().period_s)),
      state_(first) {
  judge_.reset({first.position.data(), static_cast<std::size_t>(limits.num_joints)});
  record_.num_joints = flight_tick_.head.num_joints = limits.num_joints;
}

bool TickTask::tick(const TickTime& time) noexcept VLA_RT_NONBLOCKING {
  if (ticks_ == 0) first_ns_ = time.scheduled_ns;
  if (time.scheduled_ns - first_ns_ >= duration_ns_) controller_.request_stop();

  const ReadResult result = robot_.read(state_);
  if (result == ReadResult::DriverError) controller_.report_driver_error();
  const Status status = controller_.tick(time.scheduled_ns, state_, command_);
  robot_.write(command_);

  // The first state was read by whoever reset the controller; the worker has not seen it.
  const bool fresh = result == ReadResult::Fresh || ticks_ == 0;
  if (worker_ != nullptr && fresh) worker_->post_state(state_);
  if (inline_policy_ != nullptr)
    inline_policy_->advance(state_, time.scheduled_ns, time.scheduled_ns + busy_ns_, flight_);
  judge_.add({command_.position.data(), static_cast<std::size_t>(command_.num_joints)});
  ++status_counts_[static_cast<std::size_t>(status)];
  ++ticks_;
  missed_ += time.missed;
  last_ns_ = steady_now();
  record(time, last_ns_ - time.woke_ns);
  return !(controller_.ending() && controller_.at_rest());
}

void TickTask::record(const TickTime& time, TimeNs compute_ns) noexcept {
  wakeup_.record(time.woke_ns - time.scheduled_ns);
  compute_.record(compute_ns);
  record_.time_ns = time.scheduled_ns;
  record_.wakeup_ns = time.woke_ns - time.scheduled_ns;
  record_.compute_ns = compute_ns;
  record_.tick = ticks_ - 1;
  record_.chunk_sequence = controller_.executor().sequence();
  record_.status = command_.status;
  record_.follows_plan = controller_.follows_plan();
  const auto put = [this](Signal which, const double* values) {
    std::copy_n(values, static_cast<std::size_t>(record_.num_joints), record_.signal(which).begin());
  };
  put(Signal::MeasuredPosition, state_.position.data());
  put(Signal::MeasuredVelocity, state_.velocity.data());
  put(Signal::CommandPosition, command_.position.data());
  put(Signal::CommandVelocity, command_.velocity.data());
  put(Signal::CommandAcceleration, command_.acceleration.data());
  put(Signal::Target, controller_.target().data());
  recorder_.push(record_);
  if (flight_ != nullptr) record_flight();
  if (log_ != nullptr) log_->take(controller_.enforcer());
}

void TickTask::record_flight() noexcept {
  FlightTick::Head& head = flight_tick_.head;
  head.tick = record_.tick;
  head.time_ns = record_.time_ns;
  head.wakeup_ns = record_.wakeup_ns;
  head.compute_ns = record_.compute_ns;
  head.state_ns = state_.time_ns;
  head.state_sequence = state_.sequence;
  head.plan_ns = controller_.plan_time();
  head.plan_rate = controller_.plan_rate();
  head.plan_number = controller_.executor().plan_number();
  head.chunk_sequence = record_.chunk_sequence;
  head.status = record_.status;
  head.follows_plan = record_.follows_plan;
  const auto put = [this](FlightSignal which, const double* values) {
    std::copy_n(values, static_cast<std::size_t>(flight_tick_.head.num_joints),
                flight_tick_.signal(which).begin());
  };
  put(FlightSignal::MeasuredPosition, state_.position.data());
  put(FlightSignal::MeasuredVelocity, state_.velocity.data());
  put(FlightSignal::Target, controller_.target().data());
  put(FlightSignal::TargetVelocity, controller_.target_velocity().data());
  put(FlightSignal::CommandPosition, command_.position.data());
  put(FlightSignal::CommandVelocity, command_.velocity.data());
  put(FlightSignal::CommandAcceleration, command_.acceleration.data());
  if (flight_->wants_snapshot(head.tick)) {
    snapshot_.tick = head.tick;
    controller_.enforcer().save(snapshot_.enforcer);
    flight_->push(snapshot_);
  }
  flight_->push(flight_tick_);
}

void TickTask::report(RunReport& report) const {
  report.ticks = ticks_;
  report.duration_s = to_seconds(last_ns_ - first_ns_);
  report.deadline_misses = missed_;
  report.wakeup = wakeup_.summary();
  report.compute = compute_.summary();
  report.limit_violations = judge_.total();
  for (int k = 1; k <= 3; ++k)
    report.worst_limit_ratio[static_cast<std::size_t>(k) - 1] = judge_.worst_ratio(k);
  report.status_counts = status_counts_;
  for (const Cause cause : kCauses)
    for (int j = 0; j < controller_.num_joints(); ++j)
      report.limited_ticks.push_back(controller_.enforcer().ticks_limited(j, cause));
}

}  // namespace vla_rt
