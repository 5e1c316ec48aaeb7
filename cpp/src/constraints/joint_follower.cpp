#include "constraints/joint_follower.hpp"

#include <algorithm>
#include <cmath>

#include "constraints/joint_filter.hpp"
#include "constraints/safe_set.hpp"

namespace vla_rt::constraints {
namespace {

constexpr double kMemory = 0.8;      // theta of the target estimator
constexpr double kPoleOffset = 0.3;  // delta of the tracking law

}  // namespace

JointFollower::JointFollower(const EnforcerOptions& options, double h) noexcept
    : h_(h), path_preserving_(options.path_preserving) {
  const bool smooth = options.smoothing_s > 0;
  const double theta = smooth ? std::exp(-h / std::max(options.smoothing_s, 4 * h)) : kMemory;
  tracker_ = TargetTracker(smooth ? 1.5 * (1 - theta) : kPoleOffset, h);
  for (TargetEstimator& estimator : estimators_) estimator.configure(theta, smooth);
}

unsigned JointFollower::see(std::size_t i, double target, const double* feedforward,
                            const JointBounds& b) noexcept {
  TargetEstimator& estimator = estimators_[i];
  if (!std::isfinite(target)) {
    estimator.forget();
    goals_[i] = estimator.held();
    goals_[i].q = std::clamp(goals_[i].q, b.goal_min_q, b.goal_max_q);
    return kNonFinite;
  }
  const bool outside = target < b.min_q || target > b.max_q;
  const double inside = std::clamp(target, b.goal_min_q, b.goal_max_q);
  goals_[i] = feedforward != nullptr && std::isfinite(*feedforward) && !outside
                  ? estimator.see_motion(inside, *feedforward, b, h_)
                  : estimator.see_position(inside, outside, b, h_);
  return outside ? kPosition : 0;
}

void JointFollower::compare(const CommandedMotion& now, std::span<const JointBounds> bounds) noexcept {
  for (std::size_t i = 0; i < bounds.size(); ++i) errors_[i] = tracker_.error(now.state(i), goals_[i]);
  if (path_preserving_) common_.update({errors_.data(), bounds.size()}, bounds);
}

// Within a few units in the last place of a target that stands still: be there exactly, so that rest is rest.
bool JointFollower::arrived(const MotionState& x, const TargetMotion& goal) const noexcept {
  const double small = rounding_of(goal.q);
  return goal.v == 0 && goal.a == 0 && std::fabs(x.q - goal.q) <= small && std::fabs(x.v) * h_ <= small &&
         std::fabs(x.a) * h_ * h_ <= small;
}

// Which limits reaching the target in this tick would break.
unsigned JointFollower::asked_too_much(const MotionState& x, double target,
                                       const JointBounds& b) const noexcept {
  const RatesAsked asked = rates_to(target, x, h_);
  unsigned mask = 0;
  if (std::fabs(asked.v) > b.V) mask |= kVelocity;
  if (std::fabs(asked.a) > b.A) mask |= kAcceleration;
  if (std::fabs(asked.j) > b.J) mask |= kJerk;
  return mask;
}

unsigned JointFollower::step(std::size_t i, const MotionState& x, const JointBounds& b,
                             Step& out) const noexcept {
  const TargetMotion& goal = goals_[i];
  if (arrived(x, goal)) {
    out.motion.set(0, h_);
    out.end = {.q = goal.q, .v = 0, .a = 0};
    return 0;
  }
  TrackingRates rates{.V = b.V, .A = b.A, .J = b.J};
  if (path_preserving_) rates = common_.rates(i, errors_[i], b);
  // The rates are those of the way to the target, which may move itself.
  const auto edge = [&](bool forward) {
    constexpr double kBelow = 1 - 1e-12;  // so that reaching V is not rounded over it
    return gentle_jerk(x, forward,
                       {.V = std::min(b.inner_V * kBelow, rates.V + std::fabs(goal.v)),
                        .A = std::min(b.A, rates.A + std::fabs(goal.a)),
                        .J = rates.J},
                       h_);
  };
  TrackingWish wish;
  tracker_.wish(errors_[i], goal, rates, edge, wish);
  const unsigned asked = wish.saturated ? asked_too_much(x, goal.q, b) : 0;
  out.end = x;
  return asked | filter_tick(out.end, wish.motion, b, h_, out.motion);
}

}  // namespace vla_rt::constraints
