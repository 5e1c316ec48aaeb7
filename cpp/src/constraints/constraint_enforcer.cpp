#include "vla_rt/constraints/constraint_enforcer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "constraints/common_time_scale.hpp"
#include "constraints/joint_bounds.hpp"
#include "constraints/joint_filter.hpp"
#include "constraints/joint_sweep.hpp"
#include "constraints/motion_state.hpp"
#include "constraints/swept_check.hpp"
#include "constraints/target_estimator.hpp"
#include "constraints/target_tracker.hpp"
#include "constraints/wall_slider.hpp"
#include "constraints/wish_log.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

using namespace constraints;

namespace {

constexpr double kMemory = 0.8;      // theta of the target estimator
constexpr double kPoleOffset = 0.3;  // delta of the tracking law
constexpr int kMixSteps = 5;         // of the common mix of wish and stop

JointBounds bounds_of(const JointLimits& limits, std::size_t i) {
  return JointBounds::make(limits.min_position[i], limits.max_position[i], limits.max_velocity[i],
                           limits.max_acceleration[i], limits.max_jerk[i]);
}

double finite(double x) noexcept {
  constexpr double kMost = std::numeric_limits<double>::max();
  return std::isnan(x) ? x : std::clamp(x, -kMost, kMost);
}

// Whether the exact (not the inner) limits admit x, to rounding.
unsigned refused_start(const MotionState& x, const JointBounds& b) {
  if (!within(x.q, b.min_q, b.max_q)) return kPosition;
  return outside_safe_set(x, b, b.V * (1 + 1e-12),
                          {b.min_q - rounding_of(b.min_q), b.max_q + rounding_of(b.max_q)});
}

std::span<const double> checked(const char* name, std::span<const double> values, std::size_t n,
                                bool may_be_empty) {
  if (may_be_empty && values.empty()) return values;
  if (values.size() != n)
    throw ConfigError(name, std::to_string(values.size()) + " values", "must have " + std::to_string(n));
  for (std::size_t i = 0; i < n; ++i)
    if (!std::isfinite(values[i]))
      throw ConfigError(indexed(name, static_cast<long>(i)), number(values[i]), "must be finite");
  return values;
}

bool same_chain(const Kinematics& a, const Kinematics& b) {
  const auto same = [&](int j) {
    return a.joint(j).origin.rotation == b.joint(j).origin.rotation &&
           a.joint(j).origin.translation == b.joint(j).origin.translation &&
           a.joint(j).axis == b.joint(j).axis && a.joint(j).prismatic == b.joint(j).prismatic;
  };
  if (a.joint_names() != b.joint_names()) return false;
  for (int j = 0; j < a.num_joints(); ++j)
    if (!same(j)) return false;
  return true;
}

// What is wrong with standing, or stopping from, where the check stands.
[[noreturn]] void throw_refused_surroundings(const SweptCheck& check, std::span<const double> q) {
  std::string where = "(";
  for (const double x : q) where += (where.size() > 1 ? ", " : "") + number(x);
  where += ')';
  const Gap* gap = check.tightest();
  const double d = check.tightest_distance();
  if (gap == nullptr || d >= SweptCheck::kStartGap)
    throw ConfigError("position", where,
                      check.blocker() == kWorkspace
                          ? "the shortest stop leaves the workspace"
                          : "the shortest stop ends in or passes through a collision");
  const std::string& first = check.model().name(gap->first_name);
  const std::string& second = check.model().name(gap->second_name);
  const std::string what = gap->is_workspace ? first + " is " + number(-d) + " m outside its workspace"
                                             : first + " is " + number(-d) + " m inside " + second +
                                                   " (ignore the pair if it may be)";
  throw ConfigError("position", where,
                    what + ", must be at least " + number(SweptCheck::kStartGap) + " m clear");
}

[[noreturn]] void throw_refused_start(unsigned cause, std::size_t i, const MotionState& x,
                                      const JointBounds& b) {
  const long joint = static_cast<long>(i);
  if (!within(x.q, b.min_q, b.max_q))
    throw ConfigError(indexed("position", joint), number(x.q),
                      "must be in [" + number(b.min_q) + ", " + number(b.max_q) + "]");
  if (cause == kAcceleration)
    throw ConfigError(indexed("acceleration", joint), number(x.a), "must be within +-" + number(b.A));
  if (cause == kVelocity)
    throw ConfigError(indexed("velocity", joint), number(x.v),
                      "must be within +-" + number(b.V) + ", also while the acceleration is brought to zero");
  const Extent stop = stop_extent(x, b.A, b.J);
  throw ConfigError(indexed("position", joint), number(x.q),
                    "the shortest stop runs over [" + number(stop.lo) + ", " + number(stop.hi) +
                        "], must be in [" + number(b.min_q) + ", " + number(b.max_q) + "]");
}

}  // namespace

struct ConstraintEnforcer::Impl {
  JointLimits limits;
  double h;
  EnforcerOptions options;
  std::size_t n;
  TargetTracker tracker;

  // The commanded state, structure of arrays for the spans; `before` and `motion` describe the last tick.
  JointArray q{}, v{}, a{}, jerk{};
  std::array<MotionState, kMaxActionDim> before{};
  std::array<TickMotion, kMaxActionDim> motion{};

  std::array<JointBounds, kMaxActionDim> bounds{};   // in force
  std::array<JointBounds, kMaxActionDim> pending{};  // wanted, where is_pending
  std::array<bool, kMaxActionDim> is_pending{};
  std::array<bool, kMaxActionDim> cannot_obey{};
  bool any_pending = false, fault = false, has_start = false;

  std::array<TargetEstimator, kMaxActionDim> estimators{};
  std::array<TargetMotion, kMaxActionDim> goals{};
  std::array<MotionState, kMaxActionDim> errors{};
  CommonTimeScale common;

  // With surroundings: what each joint wants next, alone.
  std::unique_ptr<SweptCheck> surroundings;
  WallSlider walls;
  JointArray rest{}, rest_change{}, least_change{}, most_change{}, goal_change{};
  std::array<MotionState, kMaxActionDim> next{}, trial{};
  std::array<TickMotion, kMaxActionDim> trial_motion{}, wished_motion{};
  std::array<TickMotion, kMaxActionDim> stop_motions{};
  std::array<Extent, kMaxActionDim> stop_ranges{};
  std::array<JointSweep, kMaxActionDim> sweeps{};

  std::array<unsigned, kMaxActionDim> causes{}, last_causes{};
  std::int64_t ticks = 0;
  WishLog log;

  Impl(const JointLimits& limits_, double period_s, const EnforcerOptions& options_)
      : limits(limits_), h(period_s), options(options_), n(static_cast<std::size_t>(limits_.num_joints)) {
    const bool smooth = options.smoothing_s > 0;
    const double theta = smooth ? std::exp(-h / std::max(options.smoothing_s, 4 * h)) : kMemory;
    tracker = TargetTracker(smooth ? 1.5 * (1 - theta) : kPoleOffset, h);
    for (std::size_t i = 0; i < n; ++i) {
      bounds[i] = bounds_of(limits, i);
      estimators[i].configure(theta, smooth);
      q[i] = std::clamp(0.0, bounds[i].min_q, bounds[i].max_q);
      estimators[i].reset(q[i]);
    }
  }

  [[nodiscard]] MotionState state(std::size_t i) const noexcept { return {.q = q[i], .v = v[i], .a = a[i]}; }

  void emit(std::size_t i, const MotionState& x) noexcept {
    jerk[i] = motion[i].count == 1 ? motion[i].pieces[0].jerk
                                   : std::clamp((x.a - a[i]) / h, -bounds[i].J, bounds[i].J);
    before[i] = state(i);
    q[i] = x.q;
    v[i] = x.v;
    a[i] = x.a;
  }

  void stop_joint(std::size_t i) noexcept {
    MotionState x = state(i);
    follow_stop(x, bounds[i], h, motion[i]);
    emit(i, x);
    estimators[i].forget();
  }

  // After every tick: where the robot is now.
  void look_around() noexcept {
    if (!surroundings) return;
    surroundings->stand_at({q.data(), n});
    if (at_rest()) surroundings->rest_here();
  }

  [[nodiscard]] bool at_rest() const noexcept {
    for (std::size_t i = 0; i < n; ++i)
      if (v[i] != 0 || a[i] != 0) return false;
    return true;
  }

  [[nodiscard]] std::span<const JointSweep> stops_from_here() noexcept {
    for (std::size_t i = 0; i < n; ++i) sweeps[i].build(state(i), {}, state(i), bounds[i], 0);
    return {sweeps.data(), n};
  }

  // Takes over new limits where the state has come into their safe set.
  void adopt_pending() noexcept {
    any_pending = false;
    std::array<bool, kMaxActionDim> adopted{};
    for (std::size_t i = 0; i < n; ++i) {
      if (!is_pending[i]) continue;
      if (!cannot_obey[i] && refused_start(state(i), pending[i]) == 0) {
        std::swap(bounds[i], pending[i]);
        is_pending[i] = false;
        adopted[i] = true;
      } else {
        any_pending = true;
      }
    }
    // New limits mean another stop; without surroundings, or if it keeps away from them, they hold from now.
    if (!surroundings || surroundings->admits(stops_from_here())) return;
    for (std::size_t i = 0; i < n; ++i) {
      if (!adopted[i]) continue;
      std::swap(bounds[i], pending[i]);
      is_pending[i] = true;
      any_pending = true;
    }
  }

  // Where the target is and moves, inside the range; sets causes[i] for what is wrong with it.
  void see_target(std::size_t i, double target, const double* feedforward) noexcept {
    const JointBounds& b = bounds[i];
    if (!std::isfinite(target)) {
      causes[i] = kNonFinite;
      estimators[i].forget();
      goals[i] = estimators[i].held();
      goals[i].q = std::clamp(goals[i].q, b.goal_min_q, b.goal_max_q);
      return;
    }
    const bool outside = target < b.min_q || target > b.max_q;
    if (outside) causes[i] = kPosition;
    const double inside = std::clamp(target, b.goal_min_q, b.goal_max_q);
    goals[i] = feedforward != nullptr && std::isfinite(*feedforward) && !outside
                   ? estimators[i].see_motion(inside, *feedforward, b, h)
                   : estimators[i].see_position(inside, outside, b, h);
  }

  // The next state of one joint for its own limits; fills motion[i].
  [[nodiscard]] MotionState moved_joint(std::size_t i) noexcept {
    const JointBounds& b = bounds[i];
    const TargetMotion& goal = goals[i];
    MotionState x = state(i);
    if (arrived(x, goal)) {
      motion[i].set(0, h);
      return {.q = goal.q, .v = 0, .a = 0};
    }
    TrackingRates rates{.A = b.A, .J = b.J};
    CommonTimeScale::Rates shared;
    if (options.path_preserving) {
      shared = common.rates(i, errors[i], b);
      rates = {.A = shared.A, .J = shared.J};
    }
    const TrackingWish wish = tracker.wish(errors[i], goal, rates);
    double u = wish.jerk;
    if (options.path_preserving && wish.saturated) {
      const double V = std::min(b.V, shared.V + std::fabs(goal.v));
      const double A = std::min(b.A, shared.A + std::fabs(goal.a));
      u = std::clamp(u, std::min((-A - x.a) / h, shared.J), std::max((A - x.a) / h, -shared.J));
      u = std::clamp(clamp_to_velocity(x, u, V, shared.J, h), -shared.J, shared.J);
    }
    if (wish.saturated) causes[i] |= limits_asked_too_much(x, goal.q, b);
    causes[i] |= filter_tick(x, u, b, h, motion[i]);
    return x;
  }

  [[nodiscard]] MotionState stopped_joint(std::size_t i) noexcept {
    MotionState x = state(i);
    follow_stop(x, bounds[i], h, motion[i]);
    estimators[i].forget();
    return x;
  }

  // Replaces next and motion, which every joint has chosen alone, by the nearest mix with the stop that the
  // surroundings admit. The mix is one for all joints; at 1, every joint takes the next piece of the stop in
  // hand, which was verified with it and needs no check.
  void agree_with_surroundings() noexcept {
    const auto admitted = [&](const auto& states, const auto& motions) {
      for (std::size_t i = 0; i < n; ++i) sweeps[i].build(state(i), motions[i], states[i], bounds[i], h);
      return surroundings->admits({sweeps.data(), n});
    };
    if (admitted(next, motion)) return;
    unsigned blockers = surroundings->blocker();
    std::copy_n(motion.begin(), n, wished_motion.begin());
    std::array<TickMotion, kMaxActionDim>& stops = stop_motions;
    std::array<Extent, kMaxActionDim>& ranges = stop_ranges;
    for (std::size_t i = 0; i < n; ++i) {
      stops[i] = stop_motion(stop_profile(v[i], a[i], bounds[i].A, bounds[i].J), bounds[i].J, h);
      ranges[i] = accepted_range(state(i), bounds[i]);
    }
    double best = 1, refused = 0;
    for (int k = 0; k < kMixSteps; ++k) {
      const double lambda = 0.5 * (best + refused);
      for (std::size_t i = 0; i < n; ++i) {
        const TickMotion& wish = wished_motion[i];
        const bool comparable = wish.count == 1 || wish.count == stops[i].count;
        if (!comparable || !mix_with_stop(state(i), wish, stops[i], lambda, bounds[i], ranges[i], trial[i],
                                          trial_motion[i])) {
          trial[i] = state(i);
          follow_stop(trial[i], bounds[i], h, trial_motion[i]);
        }
        trial[i].q = std::clamp(trial[i].q, bounds[i].min_q, bounds[i].max_q);
      }
      if (admitted(trial, trial_motion)) {
        best = lambda;
        std::copy_n(trial.begin(), n, next.begin());
        std::copy_n(trial_motion.begin(), n, motion.begin());
      } else {
        refused = lambda;
        blockers |= surroundings->blocker();
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      causes[i] |= blockers;
      if (best < 1) continue;
      next[i] = state(i);
      follow_stop(next[i], bounds[i], h, motion[i]);
    }
  }

  // Within a few units in the last place of a target that stands still: be there exactly, so that rest is
  // rest.
  [[nodiscard]] bool arrived(const MotionState& x, const TargetMotion& goal) const noexcept {
    const double small = rounding_of(goal.q);
    return goal.v == 0 && goal.a == 0 && std::fabs(x.q - goal.q) <= small && std::fabs(x.v) * h <= small &&
           std::fabs(x.a) * h * h <= small;
  }

  // Which limits reaching the target in this tick would break.
  [[nodiscard]] unsigned limits_asked_too_much(const MotionState& x, double target,
                                               const JointBounds& b) const noexcept {
    const double wanted_v = (target - x.q) / h, wanted_a = (wanted_v - x.v) / h,
                 wanted_j = (wanted_a - x.a) / h;
    unsigned mask = 0;
    if (std::fabs(wanted_v) > b.V) mask |= kVelocity;
    if (std::fabs(wanted_a) > b.A) mask |= kAcceleration;
    if (std::fabs(wanted_j) > b.J) mask |= kJerk;
    return mask;
  }

  void log_new_causes(std::size_t i, double target) noexcept {
    const unsigned fresh = causes[i] & ~last_causes[i];
    last_causes[i] = causes[i];
    if (fresh == 0) return;
    const MotionState& x = before[i];
    const double goal = goals[i].q;
    const double wanted_v = (goal - x.q) / h, wanted_a = (wanted_v - x.v) / h,
                 wanted_j = (wanted_a - x.a) / h;
    const auto add = [&](unsigned bit, double wanted, double given) {
      if ((fresh & bit) == 0) return;
      log.add({.joint = static_cast<std::int32_t>(i),
               .cause = static_cast<Cause>(bit),
               .wanted = wanted,
               .given = given,
               .time_s = static_cast<double>(ticks) * h});
    };
    add(kNonFinite, target, q[i]);
    add(kPosition, target, q[i]);
    add(kWorkspace, target, q[i]);
    add(kCollision, target, q[i]);
    add(kVelocity, wanted_v, v[i]);
    add(kAcceleration, wanted_a, a[i]);
    add(kJerk, wanted_j, jerk[i]);
  }

  Status report_tick(std::span<const double> target, EnforcerReport& report) noexcept {
    Status status = fault ? Status::Fault : Status::Ok;
    for (std::size_t i = 0; i < n; ++i) {
      const double wanted = target.empty() ? std::numeric_limits<double>::quiet_NaN() : target[i];
      if (causes[i] != last_causes[i]) log_new_causes(i, wanted);
      if (causes[i] != 0)
        status = worst(status, (causes[i] & kNonFinite) != 0 ? Status::NonFinite : Status::Limited);
      report.causes[i] = static_cast<std::uint8_t>(causes[i]);
      report.deviation[i] = finite((std::isfinite(wanted) ? wanted : estimators[i].held().q) - q[i]);
      report.distance_to_limit[i] = std::max(0.0, std::min(q[i] - bounds[i].min_q, bounds[i].max_q - q[i]));
    }
    if (surroundings && has_start) {
      report.workspace_distance = surroundings->workspace_distance();
      report.clearance = surroundings->clearance();
    } else {
      report.workspace_distance = report.clearance = std::numeric_limits<double>::infinity();
    }
    report.status = status;
    return status;
  }

  Status apply(std::span<const double> target, std::span<const double> feedforward,
               EnforcerReport& report) noexcept {
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    if (target.size() != n) target = {};
    if (feedforward.size() != n) feedforward = {};
    std::fill_n(causes.begin(), n, 0u);
    if (!has_start) return report_tick(target, report), report.status = Status::Fault;
    begin_tick();
    if (fault) {
      for (std::size_t i = 0; i < n; ++i) {
        stop_joint(i);
        if (cannot_obey[i]) causes[i] = kPosition;
      }
      look_around();
      return report_tick(target, report);
    }
    for (std::size_t i = 0; i < n; ++i)
      see_target(i, target.empty() ? kNaN : target[i], feedforward.empty() ? nullptr : &feedforward[i]);
    if (surroundings) slide_goals();
    for (std::size_t i = 0; i < n; ++i) errors[i] = tracker.error(state(i), goals[i]);
    if (options.path_preserving) common.update({errors.data(), n}, {bounds.data(), n});
    if (surroundings) {
      for (std::size_t i = 0; i < n; ++i) next[i] = choose(i);
      slide_steps();
      agree_with_surroundings();
      for (std::size_t i = 0; i < n; ++i) emit(i, next[i]);
      look_around();
    } else {
      for (std::size_t i = 0; i < n; ++i) emit(i, choose(i));
    }
    return report_tick(target, report);
  }

  void begin_tick() noexcept {
    ++ticks;
    if (surroundings) surroundings->begin_tick();
    if (any_pending) adopt_pending();
  }

  [[nodiscard]] MotionState choose(std::size_t i) noexcept {
    if (!is_pending[i]) return moved_joint(i);
    causes[i] |= why_pending(i);
    return stopped_joint(i);
  }

  // Goals behind walls are moved onto them.
  void slide_goals() noexcept {
    surroundings->find_walls(stops_from_here(), walls);
    if (walls.empty()) return;
    for (std::size_t i = 0; i < n; ++i) rest[i] = sweeps[i].rest.q;
    walls.move_goals({rest.data(), n}, {goals.data(), n}, {causes.data(), n});
    for (std::size_t i = 0; i < n; ++i) {
      goals[i].q = std::clamp(goals[i].q, bounds[i].goal_min_q, bounds[i].goal_max_q);
      goals[i].v = std::clamp(goals[i].v, -bounds[i].V, bounds[i].V);
    }
  }

  // How far jerk u in this tick would take the joint's rest pose.
  [[nodiscard]] double rest_moved(std::size_t i, double u) const noexcept {
    const MotionState x = advanced(state(i), u, h);
    return x.q + stop_displacement(x.v, x.a, bounds[i].A, bounds[i].J) - rest[i];
  }

  // Steps that would take the rest pose into a wall are bent along it, within what each joint can do.
  void slide_steps() noexcept {
    if (walls.empty()) return;
    JointArray &change = rest_change, &lo = least_change, &hi = most_change;
    for (std::size_t i = 0; i < n; ++i) {
      const MotionState& x = next[i];
      change[i] = x.q + stop_displacement(x.v, x.a, bounds[i].A, bounds[i].J) - rest[i];
    }
    if (walls.allows({change.data(), n})) return;
    for (std::size_t i = 0; i < n; ++i) {
      const JointBounds& b = bounds[i];
      lo[i] = hi[i] = change[i];
      if (is_pending[i]) continue;
      lo[i] = std::min(lo[i], rest_moved(i, std::max(-b.J, (-b.A - a[i]) / h)));
      hi[i] = std::max(hi[i], rest_moved(i, std::min(b.J, (b.A - a[i]) / h)));
    }
    JointArray& wished = goal_change;
    std::copy_n(change.begin(), n, wished.begin());
    const unsigned cause = walls.bend({change.data(), n}, {lo.data(), n}, {hi.data(), n});
    if (cause == 0) return;
    for (std::size_t i = 0; i < n; ++i) {
      if (std::fabs(change[i] - wished[i]) <= 1e-6 * (hi[i] - lo[i])) continue;
      const JointBounds& b = bounds[i];
      MotionState x = state(i);
      const MotionState error{.q = x.q - (rest[i] + change[i]), .v = x.v, .a = x.a};
      filter_tick(x, jerk_to_stop_on_target(error, b.A, b.A, b.J, h), b, h, motion[i]);
      next[i] = x;
      causes[i] |= cause;
    }
  }

  [[nodiscard]] unsigned why_pending(std::size_t i) const noexcept {
    return refused_start(state(i), pending[i]);
  }
};

ConstraintEnforcer::ConstraintEnforcer(const JointLimits& limits, double period_s, bool path_preserving)
    : ConstraintEnforcer(limits, period_s,
                         EnforcerOptions{.path_preserving = path_preserving, .smoothing_s = 0}) {}

ConstraintEnforcer::ConstraintEnforcer(const JointLimits& limits, double period_s,
                                       const EnforcerOptions& options) {
  limits.validate();
  if (!within(period_s, std::numeric_limits<double>::min(), 1))
    throw ConfigError("period_s", number(period_s), "must be in (0, 1]");
  if (!within(options.smoothing_s, 0, 0.05))
    throw ConfigError("smoothing_s", number(options.smoothing_s), "must be in [0, 0.05]");
  impl_ = std::make_unique<Impl>(limits, period_s, options);
}

ConstraintEnforcer::ConstraintEnforcer(const JointLimits& limits, double period_s,
                                       const EnforcerOptions& options, const Kinematics& kinematics,
                                       const Surroundings& surroundings)
    : ConstraintEnforcer(limits, period_s, options) {
  if (kinematics.num_joints() != limits.num_joints)
    throw ConfigError("kinematics", std::to_string(kinematics.num_joints()) + " joints",
                      "must have as many as limits: " + std::to_string(limits.num_joints));
  const CollisionShapes* shapes = nullptr;
  if (surroundings.collision) {
    if (!same_chain(kinematics, surroundings.collision->kinematics()))
      throw ConfigError("collision", "another chain", "must be made from the same robot and base link");
    shapes = &surroundings.collision->shapes();
  }
  if (shapes == nullptr && surroundings.workspaces.empty() && !surroundings.check) return;
  impl_->surroundings =
      std::make_unique<SweptCheck>(GapModel(kinematics, surroundings.workspaces, shapes), surroundings.check);
  impl_->surroundings->widen_range({impl_->bounds.data(), impl_->n});
}

ConstraintEnforcer::~ConstraintEnforcer() = default;
ConstraintEnforcer::ConstraintEnforcer(ConstraintEnforcer&&) noexcept = default;
ConstraintEnforcer& ConstraintEnforcer::operator=(ConstraintEnforcer&&) noexcept = default;

int ConstraintEnforcer::num_joints() const noexcept { return impl_->limits.num_joints; }
double ConstraintEnforcer::period_s() const noexcept { return impl_->h; }
const JointLimits& ConstraintEnforcer::limits() const noexcept { return impl_->limits; }
const EnforcerOptions& ConstraintEnforcer::options() const noexcept { return impl_->options; }
bool ConstraintEnforcer::has_start() const noexcept { return impl_->has_start; }

void ConstraintEnforcer::reset(std::span<const double> position, std::span<const double> velocity,
                               std::span<const double> acceleration) {
  Impl& s = *impl_;
  checked("position", position, s.n, false);
  checked("velocity", velocity, s.n, true);
  checked("acceleration", acceleration, s.n, true);
  const auto start = [&](std::size_t i) {
    return MotionState{.q = position[i],
                       .v = velocity.empty() ? 0 : velocity[i],
                       .a = acceleration.empty() ? 0 : acceleration[i]};
  };
  for (std::size_t i = 0; i < s.n; ++i) {
    const JointBounds b = bounds_of(s.limits, i);
    const unsigned cause = refused_start(start(i), b);
    if (cause != 0) throw_refused_start(cause, i, start(i), b);
  }
  if (s.surroundings) {
    for (std::size_t i = 0; i < s.n; ++i)
      s.sweeps[i].build(start(i), {}, start(i), bounds_of(s.limits, i), 0);
    // Tried on a copy, so that a refused start changes nothing.
    SweptCheck trial = *s.surroundings;
    trial.stand_at(position);
    if (!trial.admits_start({s.sweeps.data(), s.n})) throw_refused_surroundings(trial, position);
    *s.surroundings = std::move(trial);
  }
  for (std::size_t i = 0; i < s.n; ++i) {
    const MotionState x = start(i);
    s.bounds[i] = bounds_of(s.limits, i);
    s.q[i] = x.q;
    s.v[i] = x.v;
    s.a[i] = x.a;
    s.jerk[i] = 0;
    s.before[i] = x;
    s.motion[i] = {};
    s.estimators[i].reset(x.q);
  }
  s.is_pending = s.cannot_obey = {};
  s.any_pending = s.fault = false;
  s.last_causes = {};
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
  if (!s.has_start) {
    for (std::size_t i = 0; i < s.n; ++i) s.bounds[i] = bounds_of(limits, i);
    if (s.surroundings) s.surroundings->widen_range({s.bounds.data(), s.n});
    return;
  }
  for (std::size_t i = 0; i < s.n; ++i) {
    s.pending[i] = bounds_of(limits, i);
    s.is_pending[i] = true;
    const Extent stop = stop_extent(s.state(i), s.bounds[i].A, s.bounds[i].J);
    s.cannot_obey[i] = stop.lo < limits.min_position[i] - rounding_of(stop.lo) ||
                       stop.hi > limits.max_position[i] + rounding_of(stop.hi);
    s.fault = s.fault || s.cannot_obey[i];
  }
  if (s.fault) {
    s.any_pending = true;
    return;
  }
  if (s.surroundings) {
    s.surroundings->widen_range({s.pending.data(), s.n});
    s.surroundings->begin_tick();
  }
  s.adopt_pending();
}

Status ConstraintEnforcer::apply(std::span<const double> target, std::span<const double> feedforward_velocity,
                                 EnforcerReport& report) noexcept {
  return impl_->apply(target, feedforward_velocity, report);
}

void ConstraintEnforcer::stop() noexcept {
  Impl& s = *impl_;
  if (!s.has_start) return;
  s.begin_tick();
  for (std::size_t i = 0; i < s.n; ++i) s.stop_joint(i);
  s.look_around();
}

bool ConstraintEnforcer::at_rest() const noexcept { return impl_->at_rest(); }

std::span<const double> ConstraintEnforcer::position() const noexcept { return {impl_->q.data(), impl_->n}; }
std::span<const double> ConstraintEnforcer::velocity() const noexcept { return {impl_->v.data(), impl_->n}; }
std::span<const double> ConstraintEnforcer::acceleration() const noexcept {
  return {impl_->a.data(), impl_->n};
}
std::span<const double> ConstraintEnforcer::jerk() const noexcept { return {impl_->jerk.data(), impl_->n}; }

void ConstraintEnforcer::sample_last_tick(double fraction, std::span<double> position,
                                          std::span<double> velocity,
                                          std::span<double> acceleration) const noexcept {
  const Impl& s = *impl_;
  const std::size_t n = std::min({s.n, position.size(), velocity.size(), acceleration.size()});
  for (std::size_t i = 0; i < n; ++i) {
    const MotionState x = fraction < 1 ? s.motion[i].at(s.before[i], fraction * s.h) : s.state(i);
    position[i] = x.q;
    velocity[i] = x.v;
    acceleration[i] = x.a;
  }
}

std::int64_t ConstraintEnforcer::log_count() const noexcept { return impl_->log.count(); }
int ConstraintEnforcer::copy_log(std::span<WishLogEntry> out) const noexcept { return impl_->log.copy(out); }

}  // namespace vla_rt
