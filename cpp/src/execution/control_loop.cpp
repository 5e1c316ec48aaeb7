#include "vla_rt/execution/control_loop.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "execution/tick_task.hpp"
#include "vla_rt/core/claim.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/flight_recorder.hpp"
#include "vla_rt/execution/inline_policy.hpp"
#include "vla_rt/execution/policy_source.hpp"

namespace vla_rt {
namespace {

constexpr std::chrono::milliseconds kSlice{10};

// Closes the connection however the run ends.
class StartedRobot {
 public:
  explicit StartedRobot(Robot& robot)
      : claim_(robot, "the robot is in use by another control loop"), robot_(robot) {
    robot_.start();
  }
  ~StartedRobot() { robot_.stop(); }
  StartedRobot(const StartedRobot&) = delete;
  StartedRobot& operator=(const StartedRobot&) = delete;

 private:
  const Claim claim_;
  Robot& robot_;
};

// One run at a time: a second one would share the controller.
class OnlyRun {
 public:
  explicit OnlyRun(std::atomic<bool>& running) : running_(running) {
    if (running_.exchange(true)) throw VlaRtError("the control loop is running already");
  }
  ~OnlyRun() { running_.store(false); }
  OnlyRun(const OnlyRun&) = delete;
  OnlyRun& operator=(const OnlyRun&) = delete;

 private:
  std::atomic<bool>& running_;
};

ControlConfig checked(ControlConfig config, const Robot* robot, const ChunkSource* policy) {
  if (!robot) throw ConfigError("robot", "", "must not be empty");
  if (!policy) throw ConfigError("policy", "", "must not be empty");
  config.validate();
  if (config.limits.num_joints != robot->num_joints())
    throw ConfigError("limits", std::to_string(config.limits.num_joints) + " joints",
                      "must be the joints of the robot, " + std::to_string(robot->num_joints()));
  config.realtime.period_ns = from_seconds(config.controller.period_s);
  return config;
}

std::string describe(const Fault& fault, const Robot& robot) {
  const std::string reason = fault.reason == FaultReason::DriverError ? robot.failure() : std::string();
  return reason.empty() ? fault.text() : "driver error: " + reason;
}

// What the wall clock is ahead of the steady clock.
TimeNs wall_offset() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() - steady_now();
}

FlightSetup setup_of(const Controller& controller, const ControlConfig& config, const RobotState& first) {
  const ControllerConfig& c = controller.config();
  const Surroundings& around = c.surroundings;
  return {.period_s = c.period_s,
          .limits = config.limits,
          .enforcer = c.enforcer,
          .executor = controller.executor().config(),
          .start_position = first.position,
          .has_tool_actions = c.cartesian.has_value(),
          .has_surroundings = !around.workspaces.empty() || around.collision || around.check,
          .part = 0,
          .wall_offset_ns = wall_offset()};
}

SeamSummary::Jump jump_of(const std::vector<Seam>& seams, JointArray Seam::* quantity) {
  if (seams.empty()) return {};
  std::vector<double> worst;
  worst.reserve(seams.size());
  for (const Seam& seam : seams) worst.push_back(*std::ranges::max_element(seam.*quantity));
  std::ranges::sort(worst);
  const auto rank = [&](double q) {
    return worst[static_cast<std::size_t>(std::ceil(q * static_cast<double>(worst.size()))) - 1];
  };
  return {rank(0.5), rank(0.99), worst.back()};
}

void report_execution(const ChunkExecutor& executor, RunReport& report) {
  report.executor = executor.counters();
  report.seams = executor.seams();
  report.seam_dim = executor.config().action_dim;
  report.seam = {.count = static_cast<std::uint64_t>(report.executor.splices),
                 .position = jump_of(report.seams, &Seam::position),
                 .velocity = jump_of(report.seams, &Seam::velocity),
                 .acceleration = jump_of(report.seams, &Seam::acceleration)};
}

}  // namespace

struct ControlLoop::Impl {
  const std::shared_ptr<Robot> robot;
  const std::shared_ptr<ChunkSource> policy;
  const ControlConfig config;
  Controller controller;
  std::unique_ptr<InlinePolicy> inline_policy;  // where the policy runs inside the tick
  std::atomic<bool> running{false}, stop_requested{false};
  std::mutex mutex;  // guards worker
  InferenceWorker* worker = nullptr;

  Impl(std::shared_ptr<Robot> robot_in, std::shared_ptr<ChunkSource> policy_in,
       const ControlConfig& config_in)
      : robot(std::move(robot_in)),
        policy(std::move(policy_in)),
        config(checked(config_in, robot.get(), policy.get())),
        controller(config.controller, config.limits) {
    if (config.inference.inline_budget_s == 0) return;
    const auto* package = dynamic_cast<const PolicySource*>(policy.get());
    if (package == nullptr)
      throw ConfigError("inline_budget_s", number(config.inference.inline_budget_s),
                        "is for a policy package with absolute actions; other policies run in a thread");
    inline_policy = std::make_unique<InlinePolicy>(
        package->policy(), controller,
        InlineConfig{config.inference.inline_budget_s, config.inference.rate_hz, package->seed()});
  }

  void set_worker(InferenceWorker* now) {
    const std::scoped_lock lock(mutex);
    worker = now;
  }

  [[nodiscard]] bool interrupted(const std::function<bool()>& asked) const {
    return stop_requested.load(std::memory_order_relaxed) || (asked && asked());
  }

  // False when interrupted before there was one.
  bool wait_for_state(RobotState& state, const std::function<bool()>& asked) const {
    const TimeNs deadline = steady_now() + from_seconds(config.first_state_timeout_s);
    for (int n = 0;; ++n) {
      const ReadResult result = robot->read(state);
      if (result == ReadResult::Fresh || result == ReadResult::Unchanged) break;
      if (result == ReadResult::DriverError)
        throw VlaRtError("the robot driver failed before the run began: " + robot->failure());
      if (n % 10 == 0 && interrupted(asked)) return false;
      if (steady_now() > deadline)
        throw VlaRtError("robot", "no state",
                         "must post a first state within " + number(config.first_state_timeout_s) +
                             " s (first_state_timeout_s)");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (state.num_joints != config.limits.num_joints)
      throw ConfigError("robot state", std::to_string(state.num_joints) + " joints",
                        "must be " + std::to_string(config.limits.num_joints));
    return true;
  }
};

ControlLoop::ControlLoop(std::shared_ptr<Robot> robot, std::shared_ptr<ChunkSource> policy,
                         const ControlConfig& config)
    : impl_(std::make_unique<Impl>(std::move(robot), std::move(policy), config)) {}
ControlLoop::~ControlLoop() = default;

const ControlConfig& ControlLoop::config() const noexcept { return impl_->config; }

RunReport ControlLoop::run(double duration_s, const std::function<bool()>& interrupted) {
  if (!(duration_s > 0 && duration_s <= 1e6))
    throw ConfigError("duration_s", number(duration_s), "must be in (0, 1e6] s");
  Impl& c = *impl_;
  const ControlConfig& config = c.config;
  const OnlyRun only(c.running);
  c.stop_requested.store(false);
  RunReport report;
  std::optional<ViolationLog> log;
  if (!config.violation_log.empty()) log.emplace(config.violation_log);
  std::optional<FlightRecorder> flight;
  const StartedRobot started(*c.robot);

  RobotState first;
  if (!c.wait_for_state(first, interrupted)) {
    report.interrupted = true;
    return report;
  }
  c.controller.reset({first.position.data(), static_cast<std::size_t>(first.num_joints)});

  if (!config.record.empty())
    flight.emplace(config.record, setup_of(c.controller, config, first),
                   static_cast<std::uint64_t>(config.record_max_mb * (1 << 20)), config.record_pictures);
  FlightRecorder* const recording = flight ? &*flight : nullptr;
  TickRecorder recorder(first.num_joints,
                        static_cast<std::size_t>(std::ceil(config.trace_s / config.controller.period_s)));
  InlinePolicy* const inline_policy = c.inline_policy.get();
  std::optional<InferenceWorker> worker;
  if (inline_policy == nullptr) {
    worker.emplace(c.robot, c.policy, c.controller, config.inference, recording);
  } else {
    inline_policy->reset();
    inline_policy->observe(*c.robot, first);
  }
  TickTask task(*c.robot, c.controller, worker ? &*worker : nullptr, inline_policy, recorder, config.limits,
                log ? &*log : nullptr, recording, first, duration_s);
  RealtimeThread thread(config.realtime);
  recorder.start();
  if (worker) {
    worker->start();
    c.set_worker(&*worker);
  }
  try {
    thread.start(task);
    while (thread.running()) {
      if (!report.interrupted && c.interrupted(interrupted)) {
        report.interrupted = true;
        c.controller.request_stop();
      }
      if (inline_policy != nullptr) inline_policy->observe(*c.robot);
      std::this_thread::sleep_for(kSlice);
    }
  } catch (...) {
    c.controller
        .request_stop();  // whoever is asked for an interruption may throw; the arm still ends at rest
    thread.join();
    c.set_worker(nullptr);
    throw;
  }
  thread.join();
  c.set_worker(nullptr);

  report.interrupted = report.interrupted || c.stop_requested.load(std::memory_order_relaxed);
  report.inference_abandoned = worker && !worker->stop();
  report.inference = worker ? worker->stats() : inline_policy->stats();
  if (inline_policy != nullptr) report.in_tick = inline_policy->figures();
  recorder.stop();
  task.report(report);
  report.fault = c.controller.fault();
  report.fault_text = describe(report.fault, *c.robot);
  report_execution(c.controller.executor(), report);
  report.tracking_rms = recorder.tracking_rms();
  report.limiting_rms = recorder.limiting_rms();
  report.realtime = thread.grant();
  report.dropped_records = recorder.dropped();
  if (flight) {
    flight->close();
    report.unrecorded = flight->dropped();
  }
  if (log) {
    log->close();
    report.dropped_violations = log->dropped();
  }
  report.trace = recorder.trace();
  return report;
}

void ControlLoop::request_stop() noexcept {
  impl_->stop_requested.store(true, std::memory_order_relaxed);
  impl_->controller.request_stop();  // at once, even while the running thread waits for whom it asks
}

void ControlLoop::stop_inference() noexcept {
  const std::scoped_lock lock(impl_->mutex);
  if (impl_->worker) impl_->worker->request_stop();
  if (impl_->inline_policy) impl_->inline_policy->request_stop();
}

}  // namespace vla_rt
