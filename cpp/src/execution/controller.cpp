#include "vla_rt/execution/controller.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <string>

#include "execution/plan_clock.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/rt/watchdog.hpp"

namespace vla_rt {
namespace {

constexpr double kMaxTimeout = 1e6;  // [s]
constexpr TimeNs kLatestTime =
    2'000'000'000'000'000'000;               // either way of zero: sums with a timeout stay in range
constexpr TimeNs kLeap = 10 * kNsPerSecond;  // of a measurement's clock: longer than any tick is late
constexpr int kTrustedStamps = 100;          // in a row, for a clock that began wrong

void require(const char* name, double value, bool ok, const char* bound) {
  if (!ok) throw ConfigError(name, number(value), bound);
}

bool all_finite(const JointArray& values, std::size_t n) noexcept {
  // A sum of zeros unless a value is NaN or infinite: no branch per joint.
  double sum = 0;
  for (std::size_t j = 0; j < n; ++j) sum += values[j] * 0.0;
  return sum == 0.0;
}

ControllerConfig checked(ControllerConfig config, const JointLimits& limits) {
  limits.validate();
  config.validate();
  if (config.cartesian) {  // whose actions need no limits of their own
    config.executor = CartesianActions::executor_config(*config.cartesian, config.executor);
    return config;
  }
  if (config.executor.action_dim == 0) config.executor.action_dim = limits.num_joints;
  if (config.executor.action_dim != limits.num_joints)
    throw ConfigError("action_dim", std::to_string(config.executor.action_dim),
                      "must be the number of joints of the limits, " + std::to_string(limits.num_joints));
  if (!config.executor.limits) config.executor.limits = limits;
  return config;
}

ConstraintEnforcer make_enforcer(const ControllerConfig& config, const JointLimits& limits) {
  Surroundings around = config.surroundings;
  if (around.chain_joints.empty() && config.cartesian && config.cartesian->gripper)
    for (int j = 0; j < limits.num_joints; ++j)
      if (j != config.cartesian->gripper->joint) around.chain_joints.push_back(j);
  if (config.kinematics) return {limits, config.period_s, config.enforcer, *config.kinematics, around};
  if (!around.workspaces.empty() || around.collision || around.check)
    throw ConfigError("kinematics", "none", "needed by workspace and collision, to know where the robot is");
  return {limits, config.period_s, config.enforcer};
}

}  // namespace

void ControllerConfig::validate() const {
  require("period_s", period_s, period_s >= 1e-6 && period_s <= 1, "must be in [1e-6, 1] s");
  require("state_timeout_s", state_timeout_s, state_timeout_s > 0 && state_timeout_s <= kMaxTimeout,
          "must be in (0, 1e6] s");
  require("plan_timeout_s", plan_timeout_s, plan_timeout_s >= 0 && plan_timeout_s <= kMaxTimeout,
          "must be in [0, 1e6] s; 0 means until the plan ends");
  require("max_following_error", max_following_error,
          max_following_error >= 0 && std::isfinite(max_following_error),
          "must be finite and >= 0; 0 means not checked");
  require("watchdog_s", watchdog_s, watchdog_s >= 0 && watchdog_s <= kMaxTimeout,
          "must be in [0, 1e6] s; 0 means not checked");
  const std::array one{1.0}, minus_one{-1.0};  // the options do not depend on the limits
  ConstraintEnforcer(JointLimits::make(minus_one, one, one, one, one), period_s, enforcer);
}

struct Controller::Impl {
  // Actions of the tool, with what passes between executor and enforcer.
  struct Cartesian {
    Cartesian(const CartesianConfig& config, const JointLimits& limits, double period_s)
        : actions(config, limits, period_s) {}
    CartesianActions actions;
    std::array<double, 8> row{}, rate{};
    ActionChunk plan;  // the pusher's
  };

  Impl(const ControllerConfig& config_in, const JointLimits& limits)
      : config(checked(config_in, limits)),
        n(static_cast<std::size_t>(limits.num_joints)),
        period_ns(from_seconds(config.period_s)),
        state_timeout_ns(from_seconds(config.state_timeout_s)),
        plan_timeout_ns(from_seconds(config.plan_timeout_s)),
        clock(period_ns),
        executor(config.executor),
        enforcer(make_enforcer(config, limits)),
        cartesian(config.cartesian ? std::make_unique<Cartesian>(*config.cartesian, limits, config.period_s)
                                   : nullptr),
        watchdog(from_seconds(config.watchdog_s > 0 ? config.watchdog_s : kMaxTimeout)) {}

  const ControllerConfig config;
  const std::size_t n;
  const TimeNs period_ns, state_timeout_ns, plan_timeout_ns;

  execution::PlanClock clock;
  ChunkExecutor executor;
  ConstraintEnforcer enforcer;
  const std::unique_ptr<Cartesian> cartesian;
  Watchdog watchdog;

  // Ticking thread.
  bool started = false;  // a reset was accepted
  bool ticked = false;   // since that reset
  bool follows_plan = false;
  TimeNs now = 0, last_stamp = 0, asked_for = 0;
  int stamps_ahead = 0;  // measured far ahead of `now`, each a little later than the one before
  std::uint64_t sequence = 0;
  JointArray target{}, feedforward{}, last_position{};
  EnforcerReport report;
  Fault fault;  // published by the release store of `fault_reason`, never changed until the next reset

  // Other threads.
  std::atomic<bool> chunk_arrived{false}, input_refused{false}, stop_requested{false}, driver_failed{false};
  std::atomic<bool> at_rest{true};
  std::atomic<TimeNs> plan_time{0};  // observation time of the newest chunk
  std::atomic<std::uint64_t> chunk_sequence{0};
  std::atomic<FaultReason> fault_reason{FaultReason::None};

  [[nodiscard]] bool faulted() const noexcept {
    return fault_reason.load(std::memory_order_relaxed) != FaultReason::None;
  }

  void raise(FaultReason reason, int joint, double value, double bound) noexcept {
    if (faulted()) return;
    fault = {reason, joint, now, value, bound};
    fault_reason.store(reason, std::memory_order_release);
  }

  Status tick_before_reset(const RobotState& state, RobotCommand& command) noexcept {
    raise(FaultReason::NotReset, -1, 0, 0);
    const bool known = state.num_joints == static_cast<std::int32_t>(n) && all_finite(state.position, n);
    command.num_joints = known ? state.num_joints : 0;
    command.position.fill(0);
    command.velocity.fill(0);
    command.acceleration.fill(0);
    if (known) std::copy_n(state.position.begin(), n, command.position.begin());
    return command.status = Status::Fault;
  }

  // Ok, Stale or NonFinite; a measurement far from the last command is a fault.
  Status check_measurement(const RobotState& state) noexcept {
    if (state.num_joints != static_cast<std::int32_t>(n) || !all_finite(state.position, n) ||
        !all_finite(state.velocity, n))
      return Status::NonFinite;
    // A time far ahead is another clock's, and would never grow old.
    if (state.time_ns < now - state_timeout_ns || state.time_ns > now + state_timeout_ns)
      return Status::Stale;
    if (config.max_following_error > 0) {
      const auto commanded = enforcer.position();
      double worst = 0;
      int joint = -1;
      for (std::size_t j = 0; j < n; ++j)
        if (const double error = std::abs(state.position[j] - commanded[j]); error > worst) {
          worst = error;
          joint = static_cast<int>(j);
        }
      if (worst > config.max_following_error)
        raise(FaultReason::FollowingError, joint, worst, config.max_following_error);
    }
    return Status::Ok;
  }

  void supervise_worker() noexcept {
    // Acquire: pairs with push, so that the plan's time is that of this chunk or a newer one.
    if (!ticked || chunk_arrived.exchange(false, std::memory_order_acquire)) watchdog.feed(now);
    const bool ending = stop_requested.load(std::memory_order_relaxed);
    if (config.watchdog_s > 0 && !ending && watchdog.expired(now))
      raise(FaultReason::Watchdog, -1, to_seconds(watchdog.age(now)), config.watchdog_s);
  }

  // A plan was made with this chunk.
  void announce(const ActionChunk& chunk) noexcept {
    plan_time.store(chunk.start_time_ns, std::memory_order_relaxed);
    chunk_sequence.store(chunk.sequence, std::memory_order_relaxed);
    chunk_arrived.store(true, std::memory_order_release);
  }

  void write(RobotCommand& command) noexcept {
    command.num_joints = static_cast<std::int32_t>(n);
    std::copy_n(enforcer.position().begin(), n, command.position.begin());
    std::copy_n(enforcer.velocity().begin(), n, command.velocity.begin());
    std::copy_n(enforcer.acceleration().begin(), n, command.acceleration.begin());
    if (all_finite(command.position, n) && all_finite(command.velocity, n) &&
        all_finite(command.acceleration, n)) {
      last_position = command.position;
      at_rest.store(enforcer.at_rest(), std::memory_order_release);
      return;
    }
    // Not reachable while the enforcer keeps its promise; the last word is a position that is known to be
    // good.
    raise(FaultReason::Internal, -1, 0, 0);
    command.status = Status::Fault;
    command.position = last_position;
    command.velocity.fill(0);
    command.acceleration.fill(0);
    at_rest.store(true, std::memory_order_release);
  }
};

Controller::Controller(const ControllerConfig& config, const JointLimits& limits)
    : impl_(std::make_unique<Impl>(config, limits)) {}
Controller::~Controller() = default;

const ControllerConfig& Controller::config() const noexcept { return impl_->config; }
int Controller::num_joints() const noexcept { return static_cast<int>(impl_->n); }
int Controller::action_dim() const noexcept {
  return impl_->cartesian ? impl_->config.cartesian->dimension() : num_joints();
}

void Controller::reset(std::span<const double> position) {
  Impl& c = *impl_;
  c.enforcer.reset(position);  // the only call that may refuse, so that a failure changes nothing
  c.executor.reset(c.cartesian ? c.cartesian->actions.reset(position) : position);
  c.clock.reset();
  c.watchdog.reset();
  c.started = true;
  c.ticked = false;
  c.report = {};
  c.target.fill(0);
  std::copy(position.begin(), position.end(), c.target.begin());
  c.last_position = c.target;
  c.fault = {};
  c.chunk_arrived.store(false);
  c.chunk_sequence.store(0);
  c.input_refused.store(false);
  c.stop_requested.store(false);
  c.driver_failed.store(false);
  c.at_rest.store(true);
  c.fault_reason.store(FaultReason::None, std::memory_order_release);
}

Status Controller::tick(const RobotState& state, RobotCommand& command) noexcept VLA_RT_NONBLOCKING {
  Impl& c = *impl_;
  // A jump no run can have is a wrong clock, not progress; the check of the measurement calls it stale,
  // unless the stamps go on from there: then the ones before were wrong (a driver's first, empty state).
  const bool leaps = c.ticked && state.time_ns > c.now + kLeap;
  const bool goes_on =
      leaps && state.time_ns > c.last_stamp && state.time_ns - c.state_timeout_ns <= c.last_stamp;
  c.stamps_ahead = goes_on ? c.stamps_ahead + 1 : 0;
  c.last_stamp = state.time_ns;
  const bool usable = std::clamp(state.time_ns, -kLatestTime, kLatestTime) == state.time_ns &&
                      (!c.ticked || (state.time_ns > c.now && (!leaps || c.stamps_ahead >= kTrustedStamps)));
  if (usable && leaps) c.watchdog.feed(state.time_ns);  // ages across a leap mean nothing
  return tick(usable ? state.time_ns : c.now + c.period_ns, state, command);
}

Status Controller::tick(TimeNs now, const RobotState& state,
                        RobotCommand& command) noexcept VLA_RT_NONBLOCKING {
  Impl& c = *impl_;
  now = std::clamp(now, -kLatestTime, kLatestTime);
  c.now = now;
  command.time_ns = now;
  command.sequence = c.sequence++;
  if (!c.started) return c.tick_before_reset(state, command);

  const Status measured = c.check_measurement(state);
  c.supervise_worker();
  if (c.driver_failed.load(std::memory_order_relaxed)) c.raise(FaultReason::DriverError, -1, 0, 0);
  c.ticked = true;

  const std::span<double> target{c.target.data(), c.n}, feedforward{c.feedforward.data(), c.n};
  const std::span<double> row = c.cartesian ? std::span<double>(c.cartesian->row) : target;
  const std::span<double> rate = c.cartesian ? std::span<double>(c.cartesian->rate) : feedforward;
  c.asked_for = c.clock.advance(now);
  const Status plan = c.executor.at(c.asked_for, row, rate);
  for (double& velocity : rate) velocity *= c.clock.rate();
  const bool plan_stale = c.plan_timeout_ns > 0 && plan != Status::Starved &&
                          now - c.plan_time.load(std::memory_order_relaxed) > c.plan_timeout_ns;

  Status status = worst(measured, plan);
  if (plan_stale) status = worst(status, Status::Stale);
  if (c.input_refused.load(std::memory_order_relaxed)) status = worst(status, Status::NonFinite);
  if (c.faulted()) status = Status::Fault;

  c.follows_plan = measured == Status::Ok && !plan_stale && !ending();
  if (c.follows_plan) {
    if (c.cartesian) status = worst(status, c.cartesian->actions.apply(row, rate, target, feedforward));
    const Status filtered = c.enforcer.apply(target, feedforward, c.report);
    if (filtered == Status::Fault) c.raise(FaultReason::Internal, -1, 0, 0);
    status = worst(status, filtered);
  } else {
    c.enforcer.stop();
    c.report = {};
    if (c.cartesian) {
      c.cartesian->actions.follow(c.enforcer.position());
      std::ranges::copy(c.enforcer.position(), target.begin());
    }
  }
  if (c.cartesian) c.cartesian->actions.record(now, c.enforcer.position());
  command.status = status;
  c.write(command);
  return command.status;
}

PushResult Controller::push(const ActionChunk& chunk, PlanInput* planned) {
  const auto plan_of = [this](const ActionChunk& actions) -> const ActionChunk& {
    if (!impl_->cartesian) return actions;
    impl_->cartesian->actions.to_plan(actions, impl_->cartesian->plan);
    return impl_->cartesian->plan;
  };
  const PushResult result = impl_->executor.push(plan_of(chunk), planned);
  if (result == PushResult::Accepted) impl_->announce(chunk);
  return result;
}

PushResult Controller::try_push(const ActionChunk& chunk, PlanInput* planned) noexcept {
  if (impl_->cartesian) return PushResult::Invalid;
  const PushResult result = impl_->executor.try_push(chunk, planned);
  if (result == PushResult::Accepted) impl_->announce(chunk);
  return result;
}

void Controller::set_input_refused(bool refused) noexcept {
  impl_->input_refused.store(refused, std::memory_order_relaxed);
}

void Controller::request_stop() noexcept VLA_RT_NONBLOCKING {
  impl_->stop_requested.store(true, std::memory_order_relaxed);
}
void Controller::report_driver_error() noexcept VLA_RT_NONBLOCKING {
  impl_->driver_failed.store(true, std::memory_order_relaxed);
}
bool Controller::at_rest() const noexcept VLA_RT_NONBLOCKING {
  return impl_->at_rest.load(std::memory_order_acquire);
}
bool Controller::faulted() const noexcept VLA_RT_NONBLOCKING { return impl_->faulted(); }

bool Controller::ending() const noexcept VLA_RT_NONBLOCKING {
  return impl_->faulted() || impl_->stop_requested.load(std::memory_order_relaxed);
}

Fault Controller::fault() const noexcept VLA_RT_NONBLOCKING {
  // Acquire: the fields written before the reason was published.
  return impl_->fault_reason.load(std::memory_order_acquire) == FaultReason::None ? Fault{} : impl_->fault;
}

std::span<const double> Controller::target() const noexcept { return {impl_->target.data(), impl_->n}; }
std::span<const double> Controller::target_velocity() const noexcept {
  return {impl_->feedforward.data(), impl_->n};
}
TimeNs Controller::plan_time() const noexcept { return impl_->asked_for; }
double Controller::plan_rate() const noexcept { return impl_->clock.rate(); }
const EnforcerReport& Controller::report() const noexcept { return impl_->report; }
const ConstraintEnforcer& Controller::enforcer() const noexcept { return impl_->enforcer; }
bool Controller::follows_plan() const noexcept { return impl_->follows_plan; }
std::uint64_t Controller::chunk_sequence() const noexcept {
  return impl_->chunk_sequence.load(std::memory_order_relaxed);
}
const ChunkExecutor& Controller::executor() const noexcept { return impl_->executor; }

}  // namespace vla_rt
