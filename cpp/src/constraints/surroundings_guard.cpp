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

void SurroundingsGuard::reset(std::span<const MotionState> start, std::span<const JointBounds> bounds) {
  JointArray q{};
  for (std::size_t i = 0; i < n_; ++i) {
    q[i] = start[i].q;
    sweeps_[i].build(start[i], {}, start[i], bounds[i], 0);
  }
  // Tried on a copy, so that a refused start changes nothing.
  SweptCheck trial = check_;
  trial.widen_range(bounds);
  trial.stand_at({q.data(), n_});
  if (!trial.admits_start({sweeps_.data(), n_})) throw_refused_surroundings(trial, {q.data(), n_});
  check_ = std::move(trial);
}

std::span<const JointSweep> SurroundingsGuard::stops(const CommandedMotion& now,
                                                     std::span<const JointBounds> bounds) noexcept {
  for (std::size_t i = 0; i < n_; ++i) sweeps_[i].build(now.state(i), {}, now.state(i), bounds[i], 0);
  return {sweeps_.data(), n_};
}

bool SurroundingsGuard::admits_stops(const CommandedMotion& now,
                                     std::span<const JointBounds> bounds) noexcept {
  return check_.admits(stops(now, bounds));
}

bool SurroundingsGuard::admits(const CommandedMotion& now, std::span<const JointBounds> bounds,
                               std::span<const Step> steps) noexcept {
  for (std::size_t i = 0; i < n_; ++i)
    sweeps_[i].build(now.state(i), steps[i].motion, steps[i].end, bounds[i], h_);
  return check_.admits({sweeps_.data(), n_});
}

void SurroundingsGuard::stand_at(const CommandedMotion& now) noexcept {
  check_.stand_at({now.q.data(), n_});
  if (now.at_rest(n_)) check_.rest_here();
}

void SurroundingsGuard::slide_goals(const CommandedMotion& now, std::span<const JointBounds> bounds,
                                    std::span<TargetMotion> goals, std::span<unsigned> causes) noexcept {
  check_.find_walls(stops(now, bounds), walls_);
  if (walls_.empty()) return;
  for (std::size_t i = 0; i < n_; ++i) rest_[i] = sweeps_[i].rest.q;
  walls_.move_goals({rest_.data(), n_}, goals, causes);
  for (std::size_t i = 0; i < n_; ++i) {
    goals[i].q = std::clamp(goals[i].q, bounds[i].goal_min_q, bounds[i].goal_max_q);
    goals[i].v = std::clamp(goals[i].v, -bounds[i].V, bounds[i].V);
  }
}

// Steps that would take the rest pose into a wall are bent along it, within what each joint can do.
void SurroundingsGuard::slide_steps(const CommandedMotion& now, const LimitsInForce& limits,
                                    std::span<Step> steps, std::span<unsigned> causes) noexcept {
  if (walls_.empty()) return;
  for (std::size_t i = 0; i < n_; ++i) change_[i] = rest_moved(i, steps[i].end, limits[i]);
  if (walls_.allows({change_.data(), n_})) return;
  for (std::size_t i = 0; i < n_; ++i) {
    const JointBounds& b = limits[i];
    least_change_[i] = most_change_[i] = change_[i];
    if (limits.waits(i)) continue;
    const MotionState x = now.state(i);
    const double slowest = std::max(-b.J, (-b.A - x.a) / h_), fastest = std::min(b.J, (b.A - x.a) / h_);
    least_change_[i] = std::min(change_[i], rest_moved(i, advanced(x, slowest, h_), b));
    most_change_[i] = std::max(change_[i], rest_moved(i, advanced(x, fastest, h_), b));
  }
  std::copy_n(change_.begin(), n_, wished_change_.begin());
  const unsigned cause =
      walls_.bend({change_.data(), n_}, {least_change_.data(), n_}, {most_change_.data(), n_});
  if (cause == 0) return;
  for (std::size_t i = 0; i < n_; ++i) {
    if (std::fabs(change_[i] - wished_change_[i]) <= 1e-6 * (most_change_[i] - least_change_[i])) continue;
    const JointBounds& b = limits[i];
    const MotionState x = now.state(i);
    const MotionState error{.q = x.q - (rest_[i] + change_[i]), .v = x.v, .a = x.a};
    steps[i].end = x;
    filter_tick(steps[i].end, jerk_to_stop_on_target(error, b.A, b.A, b.J, h_), b, h_, steps[i].motion);
    causes[i] |= cause;
  }
}

void SurroundingsGuard::agree(const CommandedMotion& now, const LimitsInForce& limits, std::span<Step> steps,
                              std::span<unsigned> causes) noexcept {
  slide_steps(now, limits, steps, causes);
  const std::span<const JointBounds> bounds = limits.bounds();
  if (admits(now, bounds, steps)) return;
  unsigned blockers = check_.blocker();
  for (std::size_t i = 0; i < n_; ++i) {
    const MotionState x = now.state(i);
    wished_[i] = steps[i].motion;
    stops_[i] = stop_motion(stop_profile(x.v, x.a, bounds[i].A, bounds[i].J), bounds[i].J, h_);
    ranges_[i] = accepted_range(x, bounds[i]);
  }
  const std::span<Step> trial{trial_.data(), n_};
  double best = 1, refused = 0;
  for (int k = 0; k < kMixSteps; ++k) {
    const double lambda = 0.5 * (best + refused);
    for (std::size_t i = 0; i < n_; ++i) {
      const MotionState x = now.state(i);
      const bool comparable = wished_[i].count == 1 || wished_[i].count == stops_[i].count;
      if (!comparable || !mix_with_stop(x, wished_[i], stops_[i], lambda, bounds[i], ranges_[i], trial[i].end,
                                        trial[i].motion))
        stop_step(x, bounds[i], h_, trial[i]);
      trial[i].end.q = std::clamp(trial[i].end.q, bounds[i].min_q, bounds[i].max_q);
    }
    if (admits(now, bounds, trial)) {
      best = lambda;
      std::copy(trial.begin(), trial.end(), steps.begin());
    } else {
      refused = lambda;
      blockers |= check_.blocker();
    }
  }
  for (std::size_t i = 0; i < n_; ++i) {
    causes[i] |= blockers;
    // At 1, every joint takes the next piece of the stop in hand, which was verified with it.
    if (best == 1) stop_step(now.state(i), bounds[i], h_, steps[i]);
  }
}

}  // namespace vla_rt::constraints
