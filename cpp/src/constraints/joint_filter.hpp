#pragma once
#include <algorithm>
#include <cmath>

#include "constraints/certified_stop.hpp"
#include "constraints/joint_bounds.hpp"
#include "constraints/safe_set.hpp"
#include "constraints/target_tracker.hpp"

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

inline void stop_step(const MotionState& x, const JointBounds& b, double h, Step& out) noexcept {
  out.end = x;
  follow_stop(out.end, b, h, out.motion);
}

/// Largest jerk from x for h seconds after which v + max(a,0)^2/2J + hold max(a,0) <= V: with hold = h/2 one
/// jerk per tick, however large J is, can bring the acceleration to zero at V. With a1 = a + u h
/// and w = h/2 + hold the condition is a1^2/2J + a1 w + (v + a h/2 - V) <= 0 for a1 > 0, and
/// v + (a + a1) h/2 <= V otherwise.
[[nodiscard]] inline double jerk_to_velocity(double v, double a, double V, double J, double h,
                                             double hold) noexcept {
  const double room = V - v - 0.5 * a * h, w = 0.5 * h + hold;
  const double a1 = room >= 0 ? 2 * room / (w + std::sqrt(w * w + 2 * room / J)) : 2 * room / h;
  return (a1 - a) / h;
}

/// Clamps a jerk so that the velocity stays within V, also while the acceleration is brought to zero.
[[nodiscard]] inline double clamp_to_velocity(const MotionState& x, double u, double V, double J,
                                              double h) noexcept {
  const double most = jerk_to_velocity(x.v, x.a, V, J, h, 0);
  const double least = -jerk_to_velocity(-x.v, -x.a, V, J, h, 0);
  return least <= most ? std::clamp(u, least, most) : u;
}

/// The most forward (else backward) jerk for a whole tick that keeps a within A and brings v within V by one
/// jerk per tick.
[[nodiscard]] inline double gentle_jerk(const MotionState& x, bool forward, const TrackingRates& rates,
                                        double h) noexcept {
  const double side = forward ? 1 : -1, v = side * x.v, a = side * x.a;
  const double u = std::min((rates.A - a) / h, jerk_to_velocity(v, a, rates.V, rates.J, h, 0.5 * h));
  return side * std::clamp(u, -rates.J, rates.J);
}

/// What a rate may exceed its limit by for the rounding of sums like a + u h.
inline constexpr double kRounded = 1 + 1e-12;

/// A sampled acceleration that left the limit by rounding alone is put back on it.
inline void settle(MotionState& y, const JointBounds& b) noexcept {
  if (std::fabs(y.a) > b.A && std::fabs(y.a) <= b.A * kRounded) y.a = std::copysign(b.A, y.a);
}

/// The range that stops from x's next state must keep. A start on a limit may leave it: the range is never
/// asked to be better than it is now.
[[nodiscard]] inline Extent accepted_range(const MotionState& x, const JointBounds& b) noexcept {
  Extent range{b.inner_min_q, b.inner_max_q};
  if (x.q >= range.hi || x.q <= range.lo) {
    const Extent now = stop_extent(x, b.A, b.J);
    range.hi = std::max(range.hi, std::min(now.hi, b.max_q));
    range.lo = std::min(range.lo, std::max(now.lo, b.min_q));
  }
  return range;
}

/// Whether the tick from x keeps to the jerk limit and the safe set, on the way and at its `end`. Written so
/// that NaN fails.
[[nodiscard]] inline bool keeps_safe(const MotionState& x, const TickMotion& tick, const JointBounds& b,
                                     const Extent& range, MotionState& end) noexcept {
  end = x;
  for (int k = 0; k < tick.count; ++k) {
    const JerkPiece& piece = tick.pieces[static_cast<std::size_t>(k)];
    if (!(std::fabs(piece.jerk) <= b.J * kRounded)) return false;
    if (broken_between(end, piece.jerk, piece.duration, b.inner_V, range) != 0) return false;
    end = advanced(end, piece.jerk, piece.duration);
    settle(end, b);
    if (!(std::fabs(end.a) <= b.A)) return false;
  }
  return outside_safe_set(end, b, b.inner_V, range) == 0;
}

/// (1 - lambda) wish + lambda stop, piece by piece. A wish of several pieces has the stop's durations.
inline void mix(const TickMotion& wish, const TickMotion& stop, double lambda, TickMotion& out) noexcept {
  out.count = 0;
  for (int k = 0; k < stop.count; ++k) {
    const JerkPiece& piece = stop.pieces[static_cast<std::size_t>(k)];
    const double wished = wish.pieces[wish.count == 1 ? 0 : static_cast<std::size_t>(k)].jerk;
    out.append(wished + (piece.jerk - wished) * lambda, piece.duration);
  }
}

/// Whether `mix` can mix them.
[[nodiscard]] inline bool can_mix(const TickMotion& wish, const TickMotion& stop) noexcept {
  if (wish.count == 1) return true;
  if (wish.count != stop.count) return false;
  for (std::size_t k = 0; k < static_cast<std::size_t>(wish.count); ++k)
    if (wish.pieces[k].duration != stop.pieces[k].duration) return false;
  return true;
}

/// Moves x by one tick of h seconds as near to jerk `wish` as the safe set allows; returns the `Cause` bits
/// of the limits that changed the wish. x must be in the safe set, and is afterwards.
inline unsigned filter_tick(MotionState& x, double wish, const JointBounds& b, double h,
                            TickMotion& motion) noexcept {
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

  const Extent range = accepted_range(x, b);
  const auto refused = [&](double jerk, MotionState& y) {
    y = advanced(x, jerk, h);
    settle(y, b);
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
  motion.set(u, h);
  if (refusal == 0) {
    accept(y);
    return causes;
  }
  causes |= refusal;

  // lambda = 1 is the stop and needs no check.
  const TickMotion stop = stop_motion(stop_profile(x.v, x.a, b.A, b.J), b.J, h), asked = motion;
  MotionState best;
  double best_lambda = 1, refused_lambda = 0;
  for (int k = 0; k < 24 && best_lambda - refused_lambda > 1e-6; ++k) {
    const double lambda = 0.5 * (best_lambda + refused_lambda);
    MotionState z;
    TickMotion mixed;
    mix(asked, stop, lambda, mixed);
    if (keeps_safe(x, mixed, b, range, z)) {
      best = z;
      best_lambda = lambda;
      motion = mixed;
    } else {
      refused_lambda = lambda;
    }
  }
  if (best_lambda == 1)
    follow_stop(x, b, h, motion);
  else
    accept(best);
  return causes;
}

/// The same for a tick that may switch its jerk: taken as it is where the safe set allows, else its mean.
inline unsigned filter_tick(MotionState& x, const TickMotion& wish, const JointBounds& b, double h,
                            TickMotion& motion) noexcept {
  if (wish.count == 1) return filter_tick(x, wish.pieces[0].jerk, b, h, motion);
  MotionState end;
  if (!keeps_safe(x, wish, b, accepted_range(x, b), end))
    return filter_tick(x, (wish.at(x, h).a - x.a) / h, b, h, motion);
  motion = wish;
  x = end;
  x.q = std::clamp(x.q, b.min_q, b.max_q);
  return 0;
}

}  // namespace vla_rt::constraints
