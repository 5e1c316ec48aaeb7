#pragma once
#include <algorithm>
#include <cmath>

#include "constraints/certified_stop.hpp"
#include "constraints/joint_bounds.hpp"
#include "constraints/safe_set.hpp"

// One tick of one joint: the wished jerk if the state after it is in the safe set, else the nearest mix of
// the wish with the certified stop that is, else the stop. Stateless but for (q, v, a).

namespace vla_rt::constraints {

/// Follows the certified stop for one tick.
inline void follow_stop(MotionState& x, const JointBounds& b, double h, TickMotion& motion) noexcept {
  double A = b.A, J = b.J;
  const Extent extent = stop_extent(x, A, J);
  if (extent.hi > b.max_q || extent.lo < b.min_q) {
    // Started within rounding of the boundary and drifted over it: a billionth more braking brings the end
    // back.
    A *= 1 + 1e-9;
    J *= 1 + 1e-9;
  }
  const StopProfile stop = stop_profile(x.v, x.a, A, J);
  motion = stop_motion(stop, J, h);
  x = stop_sample(x, stop, motion, A, J, h);
  x.q = std::clamp(x.q, b.min_q, b.max_q);
}

/// Largest jerk from x for h seconds after which v + max(a,0)^2/2J <= V. With a1 = a + u h the condition is
/// a1^2/2J + a1 h/2 + (v + a h/2 - V) <= 0 for a1 > 0, and v + (a + a1) h/2 <= V otherwise.
[[nodiscard]] inline double jerk_to_velocity(double v, double a, double V, double J, double h) noexcept {
  const double room = V - v - 0.5 * a * h;
  const double a1 = room >= 0 ? 2 * room / (0.5 * h + std::sqrt(0.25 * h * h + 2 * room / J)) : 2 * room / h;
  return (a1 - a) / h;
}

/// Clamps a jerk so that acceleration and (future) velocity stay within the given rates.
[[nodiscard]] inline double clamp_to_velocity(const MotionState& x, double u, double V, double J,
                                              double h) noexcept {
  const double most = jerk_to_velocity(x.v, x.a, V, J, h);
  const double least = -jerk_to_velocity(-x.v, -x.a, V, J, h);
  return least <= most ? std::clamp(u, least, most) : u;
}

/// Moves x by one tick of h seconds as near to jerk `wish` as the safe set allows; returns the `Cause` bits
/// of the limits that changed the wish. x must be in the safe set, and is afterwards.
inline unsigned filter_tick(MotionState& x, double wish, const JointBounds& b, double h,
                            TickMotion& motion) noexcept {
  constexpr double kSlack = 1 + 1e-12;  // rounding of a + u h
  const auto settle = [&](MotionState& y) {
    if (std::fabs(y.a) > b.A && std::fabs(y.a) <= b.A * kSlack) y.a = std::copysign(b.A, y.a);
  };
  const auto accept = [&](const MotionState& y) {
    x = y;
    x.q = std::clamp(x.q, b.min_q, b.max_q);
  };
  if (std::isnan(wish)) {
    follow_stop(x, b, h, motion);
    return kNonFinite;
  }

  unsigned causes = 0;
  double u = std::clamp(wish, -b.J, b.J);
  if (u != wish) causes |= kJerk;
  const double within_A = std::clamp(u, (-b.A - x.a) / h, (b.A - x.a) / h);
  if (within_A != u) {
    causes |= kAcceleration;
    u = std::clamp(within_A, -b.J, b.J);
  }

  // A start on a limit may leave it: the range is never asked to be better than it is now.
  Extent range{b.inner_min_q, b.inner_max_q};
  if (x.q >= range.hi || x.q <= range.lo) {
    const Extent now = stop_extent(x, b.A, b.J);
    range.hi = std::max(range.hi, std::min(now.hi, b.max_q));
    range.lo = std::min(range.lo, std::max(now.lo, b.min_q));
  }

  const auto refused = [&](double jerk, MotionState& y) {
    y = advanced(x, jerk, h);
    settle(y);
    const unsigned end = outside_safe_set(y, b, b.inner_V, range);
    return end != 0 ? end : broken_between(x, jerk, h, b.inner_V, range);
  };
  MotionState y;
  unsigned refusal = refused(u, y);
  if (refusal == kVelocity) {
    causes |= kVelocity;
    u = std::clamp(clamp_to_velocity(x, u, b.inner_V * (1 - 1e-12), b.J, h), -b.J, b.J);
    refusal = refused(u, y);
  }
  if (refusal == 0) {
    accept(y);
    motion.set(u, h);
    return causes;
  }
  causes |= refusal;

  // Mix (1 - lambda) u + lambda u_stop(t), piece by piece; lambda = 1 is the stop and needs no check.
  const StopProfile stop = stop_profile(x.v, x.a, b.A, b.J);
  const TickMotion pure = stop_motion(stop, b.J, h);
  MotionState best;
  double best_lambda = 1, refused_lambda = 0;
  for (int k = 0; k < 24 && best_lambda - refused_lambda > 1e-6; ++k) {
    const double lambda = 0.5 * (best_lambda + refused_lambda);
    MotionState z = x;
    bool good = true;
    for (int i = 0; i < pure.count && good; ++i) {
      const JerkPiece& piece = pure.pieces[static_cast<std::size_t>(i)];
      const double mixed = u + (piece.jerk - u) * lambda;
      good = broken_between(z, mixed, piece.duration, b.inner_V, range) == 0;
      z = advanced(z, mixed, piece.duration);
    }
    settle(z);
    good = good && outside_safe_set(z, b, b.inner_V, range) == 0;
    if (good) {
      best = z;
      best_lambda = lambda;
    } else {
      refused_lambda = lambda;
    }
  }
  if (best_lambda == 1) {
    follow_stop(x, b, h, motion);
    return causes;
  }
  motion.count = 0;
  for (int i = 0; i < pure.count; ++i) {
    const JerkPiece& piece = pure.pieces[static_cast<std::size_t>(i)];
    motion.append(u + (piece.jerk - u) * best_lambda, piece.duration);
  }
  accept(best);
  return causes;
}

}  // namespace vla_rt::constraints
