#include "vla_rt/constraints/constraint_enforcer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "constraints/joint_bounds.hpp"
#include "constraints/joint_filter.hpp"
#include "constraints/joint_follower.hpp"
#include "constraints/limits_in_force.hpp"
#include "constraints/motion_state.hpp"
#include "constraints/start_checks.hpp"
#include "constraints/surroundings_guard.hpp"
#include "constraints/wish_log.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

using namespace constraints;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double finite(double x) noexcept {
  constexpr double kMost = std::numeric_limits<double>::max();
  return std::isnan(x) ? x : std::clamp(x, -kMost, kMost);
}

}  // namespace

// One tick: every joint sees its target and chooses its next step alone (JointFollower); where there are
// surroundings, they agree on a mix with the stop in hand (SurroundingsGuard); that is commanded and
// reported.
struct ConstraintEnforcer::Impl {
  JointLimits limits;  // asked for last
  double h;
  EnforcerOptions options;
  std::size_t n;

  CommandedMotion now;
  LimitsInForce in_force;
  JointFollower follower;
  std::unique_ptr<SurroundingsGuard> surroundings;
  WishLog log;

  bool has_start = false;
  std::int64_t ticks = 0;
  std::array<Step, kMaxActionDim> steps{};
  std::array<unsigned, kMaxActionDim> causes{};

  Impl(const JointLimits& limits_, double period_s, const EnforcerOptions& options_)
      : limits(limits_),
        h(period_s),
        options(options_),
        n(static_cast<std::size_t>(limits_.num_joints)),
        in_force(limits_),
        follower(options_, period_s) {
    for (std::size_t i = 0; i < n; ++i) {
      const double q = std::clamp(0.0, in_force[i].min_q, in_force[i].max_q);
      now.start(i, {.q = q, .v = 0, .a = 0});
      follower.start(i, q);
    }
  }

  void begin_tick() noexcept {
    ++ticks;
    if (surroundings) surroundings->begin_tick();
    if (in_force.any_waits() && !in_force.fault()) adopt_limits();
  }

  // New limits mean another stop: with surroundings they hold only if that one keeps clear, too.
  void adopt_limits() noexcept {
    if (in_force.adopt(now) && surroundings && !surroundings->admits_stops(now, in_force.bounds()))
      in_force.take_back();
  }

  void stop_joint(std::size_t i) noexcept {
    stop_step(now.state(i), in_force[i], h, steps[i]);
    follower.forget(i);
  }

  void command() noexcept {
    for (std::size_t i = 0; i < n; ++i) now.take(i, steps[i], in_force[i].J, h);
    if (surroundings) surroundings->stand_at(now);
  }

  void stop() noexcept {
    for (std::size_t i = 0; i < n; ++i) stop_joint(i);
    command();
  }

  Status apply(std::span<const double> target, std::span<const double> feedforward,
               EnforcerReport& report) noexcept {
    if (target.size() != n) target = {};
    if (feedforward.size() != n) feedforward = {};
    std::fill_n(causes.begin(), n, 0u);
    if (!has_start) return report_tick(target, report), report.status = Status::Fault;
    begin_tick();
    if (in_force.fault()) {
      for (std::size_t i = 0; i < n; ++i)
        if (in_force.cannot_obey(i)) causes[i] = kPosition;
      stop();
      return report_tick(target, report);
    }
    const std::span<unsigned> why{causes.data(), n};
    const std::span<TargetMotion> goals = follower.goals().first(n);
    for (std::size_t i = 0; i < n; ++i)
      causes[i] = follower.see(i, target.empty() ? kNaN : target[i],
                               feedforward.empty() ? nullptr : &feedforward[i], in_force[i]);
    if (surroundings) surroundings->slide_goals(now, in_force.bounds(), goals, why);
    follower.compare(now, in_force.bounds());
    for (std::size_t i = 0; i < n; ++i) {
      if (in_force.waits(i)) {
        causes[i] |= in_force.why_waits(i, now.state(i));
        stop_joint(i);
      } else {
        causes[i] |= follower.step(i, now.state(i), in_force[i], steps[i]);
      }
    }
    if (surroundings) surroundings->agree(now, in_force, {steps.data(), n}, why);
    command();
    return report_tick(target, report);
  }

  Status report_tick(std::span<const double> target, EnforcerReport& report) noexcept {
    Status status = in_force.fault() ? Status::Fault : Status::Ok;
    for (std::size_t i = 0; i < n; ++i) {
      const double wanted = target.empty() ? kNaN : target[i];
      log.note(i, causes[i], wanted, follower.goal(i).q, now, h, static_cast<double>(ticks) * h);
      if (causes[i] != 0)
        status = worst(status, (causes[i] & kNonFinite) != 0 ? Status::NonFinite : Status::Limited);
      const JointBounds& b = in_force[i];
      report.causes[i] = static_cast<std::uint8_t>(causes[i]);
      report.deviation[i] = finite((std::isfinite(wanted) ? wanted : follower.held(i)) - now.q[i]);
      report.position_distance[i] = std::max(0.0, std::min(now.q[i] - b.min_q, b.max_q - now.q[i]));
      report.velocity_distance[i] = std::max(0.0, b.V - std::fabs(now.v[i]));
      report.acceleration_distance[i] = std::max(0.0, b.A - std::fabs(now.a[i]));
      report.jerk_distance[i] = std::max(0.0, b.J - std::fabs(now.jerk[i]));
    }
    constexpr double kNone = std::numeric_limits<double>::infinity();
    const bool is_placed = surroundings && has_start;
    report.workspace_distance = is_placed ? surroundings->workspace_distance() : kNone;
    report.clearance = is_placed ? surroundings->clearance() : kNone;
    return report.status = status;
  }
};

ConstraintEnforcer::ConstraintEnforcer(const JointLimits& limits, double period_s, bool path_preserving)
    : ConstraintEnforcer(limits, period_s,
                         EnforcerOptions{.path_preserving = path_preserving, .smoothing_s = 0}) {}

ConstraintEnforcer::ConstraintEnforcer(const JointLimits& limits, double period_s,
                                       const EnforcerOptions& options) {
  limits.validate();
  if (!within(period_s, 1e-6, 1)) throw ConfigError("period_s", number(period_s), "must be in [1e-6, 1] s");
  if (!within(options.smoothing_s, 0, 0.05))
    throw ConfigError("smoothing_s", number(options.smoothing_s), "must be in [0, 0.05]");
  impl_ = std::make_unique<Impl>(limits, period_s, options);
}

ConstraintEnforcer::ConstraintEnforcer(const JointLimits& limits, double period_s,
                                       const EnforcerOptions& options, const Kinematics& kinematics,
                                       const Surroundings& surroundings)
    : ConstraintEnforcer(limits, period_s, options) {
  std::vector<std::size_t> joints = chain_joints(kinematics, surroundings.chain_joints, limits.num_joints);
  const CollisionShapes* shapes = nullptr;
  if (surroundings.collision) {
    if (!same_chain(kinematics, surroundings.collision->kinematics()))
      throw ConfigError("collision", "another chain", "must be made from the same robot and base link");
    shapes = &surroundings.collision->shapes();
  }
  if (shapes == nullptr && surroundings.workspaces.empty() && !surroundings.check) return;
  impl_->surroundings = std::make_unique<SurroundingsGuard>(
      GapModel(kinematics, surroundings.workspaces, shapes), surroundings.check, std::move(joints), period_s);
  impl_->surroundings->widen_range(impl_->in_force.bounds());
}

ConstraintEnforcer::~ConstraintEnforcer() = default;
ConstraintEnforcer::ConstraintEnforcer(ConstraintEnforcer&&) noexcept = default;
ConstraintEnforcer& ConstraintEnforcer::operator=(ConstraintEnforcer&&) noexcept = default;

void ConstraintEnforcer::save(EnforcerSnapshot& snapshot) const noexcept VLA_RT_NONBLOCKING {
  static_assert(std::is_trivially_copyable_v<TargetEstimator> &&
                sizeof(TargetEstimator) == sizeof(EnforcerSnapshot::Joint::follower));
  const Impl& s = *impl_;
  snapshot.num_joints = static_cast<std::int32_t>(s.n);
  for (std::size_t i = 0; i < s.n; ++i) {
    EnforcerSnapshot::Joint& joint = snapshot.joints[i];
    joint.q = s.now.q[i];
    joint.v = s.now.v[i];
    joint.a = s.now.a[i];
    std::memcpy(joint.follower.data(), &s.follower.estimator(i), joint.follower.size());
  }
}

bool ConstraintEnforcer::restore(const EnforcerSnapshot& snapshot) noexcept {
  Impl& s = *impl_;
  if (snapshot.num_joints != static_cast<std::int32_t>(s.n)) return false;
  const std::span joints{snapshot.joints.data(), s.n};
  for (const EnforcerSnapshot::Joint& joint : joints)
    if (!std::isfinite(joint.q) || !std::isfinite(joint.v) || !std::isfinite(joint.a) ||
        !TargetEstimator::are_flags(joint.follower.data()))
      return false;
  for (std::size_t i = 0; i < s.n; ++i) {
    s.now.start(i, {.q = joints[i].q, .v = joints[i].v, .a = joints[i].a});
    TargetEstimator estimator;
    std::memcpy(&estimator, joints[i].follower.data(), sizeof estimator);
    s.follower.adopt(i, estimator);
  }
  s.has_start = true;
  return true;
}

int ConstraintEnforcer::num_joints() const noexcept { return impl_->limits.num_joints; }
double ConstraintEnforcer::period_s() const noexcept { return impl_->h; }
const JointLimits& ConstraintEnforcer::limits() const noexcept { return impl_->limits; }
const EnforcerOptions& ConstraintEnforcer::options() const noexcept { return impl_->options; }
bool ConstraintEnforcer::has_start() const noexcept { return impl_->has_start; }

void ConstraintEnforcer::reset(std::span<const double> position, std::span<const double> velocity,
                               std::span<const double> acceleration) {
  Impl& s = *impl_;
  check_values("position", position, s.n, false);
  check_values("velocity", velocity, s.n, true);
  check_values("acceleration", acceleration, s.n, true);
  const LimitsInForce limits(s.limits);
  std::array<MotionState, kMaxActionDim> start{};
  for (std::size_t i = 0; i < s.n; ++i) {
    start[i] = {.q = position[i],
                .v = velocity.empty() ? 0 : velocity[i],
                .a = acceleration.empty() ? 0 : acceleration[i]};
    const unsigned cause = refused_start(start[i], limits[i]);
    if (cause != 0) throw_refused_start(cause, i, start[i], limits[i]);
  }
  if (s.surroundings) s.surroundings->reset({start.data(), s.n}, limits.bounds());
  s.in_force = limits;
  for (std::size_t i = 0; i < s.n; ++i) {
    s.now.start(i, start[i]);
    s.follower.start(i, start[i].q);
  }
  s.ticks = 0;
  s.log.clear();
  s.has_start = true;
}

void ConstraintEnforcer::set_limits(const JointLimits& limits) {
  limits.validate();
  Impl& s = *impl_;
  if (limits.num_joints != s.limits.num_joints)
    throw ConfigError("num_joints", std::to_string(limits.num_joints),
                      "must stay " + std::to_string(s.limits.num_joints));
  s.limits = limits;
  if (s.has_start)
    s.in_force.ask(limits, s.now);
  else
    s.in_force.set(limits);
  if (s.surroundings) {
    s.surroundings->widen_range(s.in_force.asked());
    s.surroundings->begin_tick();
  }
  if (s.has_start && !s.in_force.fault()) s.adopt_limits();
}

Status ConstraintEnforcer::apply(std::span<const double> target, std::span<const double> feedforward_velocity,
                                 EnforcerReport& report) noexcept {
  return impl_->apply(target, feedforward_velocity, report);
}

void ConstraintEnforcer::stop() noexcept {
  Impl& s = *impl_;
  if (!s.has_start) return;
  s.begin_tick();
  s.stop();
}

bool ConstraintEnforcer::at_rest() const noexcept { return impl_->now.at_rest(impl_->n); }

std::span<const double> ConstraintEnforcer::position() const noexcept {
  return {impl_->now.q.data(), impl_->n};
}
std::span<const double> ConstraintEnforcer::velocity() const noexcept {
  return {impl_->now.v.data(), impl_->n};
}
std::span<const double> ConstraintEnforcer::acceleration() const noexcept {
  return {impl_->now.a.data(), impl_->n};
}
std::span<const double> ConstraintEnforcer::jerk() const noexcept {
  return {impl_->now.jerk.data(), impl_->n};
}

void ConstraintEnforcer::sample_last_tick(double fraction, std::span<double> position,
                                          std::span<double> velocity,
                                          std::span<double> acceleration) const noexcept {
  const Impl& s = *impl_;
  const std::size_t n = std::min({s.n, position.size(), velocity.size(), acceleration.size()});
  for (std::size_t i = 0; i < n; ++i) {
    const MotionState x =
        fraction < 1 ? s.now.last_tick[i].at(s.now.before[i], fraction * s.h) : s.now.state(i);
    position[i] = x.q;
    velocity[i] = x.v;
    acceleration[i] = x.a;
  }
}

std::int64_t ConstraintEnforcer::log_count() const noexcept { return impl_->log.count(); }
int ConstraintEnforcer::copy_log(std::span<WishLogEntry> out, std::int64_t first) const noexcept {
  const std::int64_t newest = impl_->log.count() - static_cast<std::int64_t>(out.size());
  return impl_->log.copy(first < 0 ? newest : first, out);
}
std::int64_t ConstraintEnforcer::ticks_limited(int joint, Cause cause) const noexcept {
  return joint >= 0 && joint < num_joints() ? impl_->log.ticks_limited(static_cast<std::size_t>(joint), cause)
                                            : 0;
}

}  // namespace vla_rt
