#include "constraints/surroundings_guard.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "constraints/joint_filter.hpp"
#include "constraints/start_checks.hpp"
#include "constraints/target_tracker.hpp"

namespace vla_rt::constraints {
namespace {

constexpr int kMixSteps = 5;  // bisections of the common mix of wish and stop

}  // namespace

void SurroundingsGuard::widen_range(SweptCheck& check, std::span<const JointBounds> bounds) const noexcept {
  std::array<JointBounds, kMaxActionDim> chain{};
  for (std::size_t k = 0; k < n_; ++k) chain[k] = bounds[joints_[k]];
  check.widen_range({chain.data(), n_});
}

void SurroundingsGuard::reset(std::span<const MotionState> start, std::span<const JointBounds> bounds) {
  JointArray q{};
  for (std::size_t k = 0; k < n_; ++k) {
    const MotionState& x = start[joints_[k]];
    q[k] = x.q;
    sweeps_[k].build(x, {}, x, bounds[joints_[k]], 0);
  }
  // Tried on a copy, so that a refused start changes nothing.
  SweptCheck trial = check_;
  widen_range(trial, bounds);
  trial.stand_at({q.data(), n_});
  if (!trial.admits_start({sweeps_.data(), n_})) throw_refused_surroundings(trial, {q.data(), n_});
  check_ = std::move(trial);
}

std::span<const JointSweep> SurroundingsGuard::stops(const CommandedMotion& now,
                                                     std::span<const JointBounds> bounds) noexcept {
  for (std::size_t k = 0; k < n_; ++k) {
    const MotionState x = now.state(joints_[k]);
    sweeps_[k].build(x, {}, x, bounds[joints_[k]], 0);
  }
  return {sweeps_.data(), n_};
}

bool SurroundingsGuard::admits_stops(const CommandedMotion& now,
                                     std::span<const JointBounds> bounds) noexcept {
  return check_.admits(stops(now, bounds));
}

bool SurroundingsGuard::admits(const CommandedMotion& now, std::span<const JointBounds> bounds,
                               std::span<const Step> steps) noexcept {
  for (std::size_t k = 0; k < n_; ++k) {
    const std::size_t i = joints_[k];
    sweeps_[k].build(now.state(i), steps[i].motion, steps[i].end, bounds[i], h_);
  }
  return check_.admits({sweeps_.data(), n_});
}

void SurroundingsGuard::stand_at(const CommandedMotion& now) noexcept {
  bool at_rest = true;
  for (std::size_t k = 0; k < n_; ++k) {
    const MotionState x = now.state(joints_[k]);
    q_[k] = x.q;
    at_rest = at_rest && x.v == 0 && x.a == 0;
  }
  check_.stand_at({q_.data(), n_});
  if (at_rest) check_.rest_here();
}

void SurroundingsGuard::slide_goals(const CommandedMotion& now, std::span<const JointBounds> bounds,
                                    std::span<TargetMotion> goals, std::span<unsigned> causes) noexcept {
  check_.find_walls(stops(now, bounds), walls_);
  if (walls_.empty()) return;
  for (std::size_t k = 0; k < n_; ++k) {
    rest_[k] = sweeps_[k].rest.q;
    goals_[k] = goals[joints_[k]];
    goal_causes_[k] = 0;
  }
  walls_.move_goals({rest_.data(), n_}, {goals_.data(), n_}, {goal_causes_.data(), n_});
  for (std::size_t k = 0; k < n_; ++k) {
    const std::size_t i = joints_[k];
    causes[i] |= goal_causes_[k];
    goals[i].q = std::clamp(goals_[k].q, bounds[i].goal_min_q, bounds[i].goal_max_q);
    goals[i].v = std::clamp(goals_[k].v, -bounds[i].V, bounds[i].V);
    goals[i].a = goals_[k].a;
  }
}

// Steps that would take the rest pose into a wall are bent along it, within what each joint can do.
void SurroundingsGuard::slide_steps(const CommandedMotion& now, const LimitsInForce& limits,
                                    std::span<Step> steps, std::span<unsigned> causes) noexcept {
  if (walls_.empty()) return;
  for (std::size_t k = 0; k < n_; ++k) change_[k] = rest_moved(k, steps[joints_[k]].end, limits[joints_[k]]);
  if (walls_.allows({change_.data(), n_})) return;
  for (std::size_t k = 0; k < n_; ++k) {
    const JointBounds& b = limits[joints_[k]];
    least_change_[k] = most_change_[k] = change_[k];
    if (limits.waits(joints_[k])) continue;
    const MotionState x = now.state(joints_[k]);
    const double slowest = std::max(-b.J, (-b.A - x.a) / h_), fastest = std::min(b.J, (b.A - x.a) / h_);
    least_change_[k] = std::min(change_[k], rest_moved(k, advanced(x, slowest, h_), b));
    most_change_[k] = std::max(change_[k], rest_moved(k, advanced(x, fastest, h_), b));
  }
  std::copy_n(change_.begin(), n_, wished_change_.begin());
  const unsigned cause =
      walls_.bend({change_.data(), n_}, {least_change_.data(), n_}, {most_change_.data(), n_});
  if (cause == 0) return;
  for (std::size_t k = 0; k < n_; ++k) {
    if (std::fabs(change_[k] - wished_change_[k]) <= 1e-6 * (most_change_[k] - least_change_[k])) continue;
    const std::size_t i = joints_[k];
    const JointBounds& b = limits[i];
    const MotionState x = now.state(i);
    const MotionState error{.q = x.q - (rest_[k] + change_[k]), .v = x.v, .a = x.a};
    const auto edge = [&](bool forward) {
      return gentle_jerk(x, forward, {.V = b.inner_V, .A = b.A, .J = b.J}, h_);
    };
    TickMotion wish;
    stop_on_target(error, b.A, b.A, b.J, edge, h_, wish);
    steps[i].end = x;
    filter_tick(steps[i].end, wish, b, h_, steps[i].motion);
    causes[i] |= cause;
  }
}

void SurroundingsGuard::agree(const CommandedMotion& now, const LimitsInForce& limits, std::span<Step> steps,
                              std::span<unsigned> causes) noexcept {
  slide_steps(now, limits, steps, causes);
  const std::span<const JointBounds> bounds = limits.bounds();
  if (admits(now, bounds, steps)) return;
  unsigned blockers = check_.blocker();
  for (std::size_t k = 0; k < n_; ++k) {
    const std::size_t i = joints_[k];
    const MotionState x = now.state(i);
    stops_[k] = stop_motion(stop_profile(x.v, x.a, bounds[i].A, bounds[i].J), bounds[i].J, h_);
    wished_[k] = steps[i].motion;
    if (!can_mix(wished_[k], stops_[k])) wished_[k].set((steps[i].end.a - x.a) / h_, h_);
    ranges_[k] = accepted_range(x, bounds[i]);
  }
  double best = 1, refused = 0;
  for (int round = 0; round < kMixSteps; ++round) {
    const double lambda = 0.5 * (best + refused);
    for (std::size_t k = 0; k < n_; ++k) {
      const std::size_t i = joints_[k];
      const MotionState x = now.state(i);
      Step& trial = trial_[i];
      mix(wished_[k], stops_[k], lambda, trial.motion);
      if (!keeps_safe(x, trial.motion, bounds[i], ranges_[k], trial.end)) stop_step(x, bounds[i], h_, trial);
      trial.end.q = std::clamp(trial.end.q, bounds[i].min_q, bounds[i].max_q);
    }
    if (admits(now, bounds, trial_)) {
      best = lambda;
      for (const std::size_t i : joints_) steps[i] = trial_[i];
    } else {
      refused = lambda;
      blockers |= check_.blocker();
    }
  }
  for (const std::size_t i : joints_) {
    causes[i] |= blockers;
    // At 1, every joint takes the next piece of the stop in hand, which was verified with it.
    if (best == 1) stop_step(now.state(i), bounds[i], h_, steps[i]);
  }
}

}  // namespace vla_rt::constraints
