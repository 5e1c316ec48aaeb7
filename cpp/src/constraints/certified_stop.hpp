#pragma once
#include <algorithm>
#include <cmath>

#include "constraints/motion_state.hpp"

// The time-optimal stop of one joint under |a| <= A and |u| <= J, in closed form.
//
// Mirror the state so that sigma = sign(v + a|a|/2J) = +1: the joint would still be moving forward after its
// acceleration was brought to zero. The jerk is then -J, 0, +J for t1, t2, t3, and the acceleration bottoms
// at -ap:
//   ap = sqrt(J v + a^2/2) if that is <= A:  t1 = (a + ap)/J,  t2 = 0,                         t3 = ap/J
//   otherwise ap = A:                        t1 = (a + A)/J,   t2 = (J v + a^2/2 - A^2)/(J A), t3 = A/J
// It is the velocity interface of Ruckig (Berscheid and Kroeger, RSS 2021) with target velocity and
// acceleration 0.

namespace vla_rt::constraints {

struct StopProfile {
  double sigma = 1;  // direction of the mirrored motion
  double t1 = 0, t2 = 0, t3 = 0;
  [[nodiscard]] double duration() const noexcept { return t1 + t2 + t3; }
};

struct Extent {
  double lo = 0, hi = 0;
};

[[nodiscard]] inline double stop_direction(double v, double a, double J) noexcept {
  return v + a * std::fabs(a) / (2 * J) >= 0 ? 1.0 : -1.0;
}

[[nodiscard]] inline StopProfile stop_profile(double v, double a, double A, double J) noexcept {
  const double sigma = stop_direction(v, a, J);
  v *= sigma;
  a *= sigma;
  const double ap2 = std::max(0.0, J * v + 0.5 * a * a);
  if (ap2 <= A * A) {
    const double ap = std::sqrt(ap2);
    return {.sigma = sigma, .t1 = std::max(0.0, (a + ap) / J), .t2 = 0, .t3 = ap / J};
  }
  return {.sigma = sigma, .t1 = std::max(0.0, (a + A) / J), .t2 = (ap2 - A * A) / (J * A), .t3 = A / J};
}

/// How far the joint still moves while it stops, with one bound on |a| for each direction sigma of the stop.
[[nodiscard]] inline double stop_displacement(double v, double a, double A_forward, double A_backward,
                                              double J) noexcept {
  const double inverse_J = 1 / J;
  const double sigma = v + 0.5 * a * std::fabs(a) * inverse_J >= 0 ? 1.0 : -1.0;
  const double A = sigma > 0 ? A_forward : A_backward;
  v *= sigma;
  a *= sigma;
  const double ap2 = std::max(0.0, J * v + 0.5 * a * a);
  const bool has_cruise = ap2 > A * A;
  const double ap = has_cruise ? A : std::sqrt(ap2);
  const double t1 = std::max(0.0, (a + ap) * inverse_J);
  double d =
      t1 * (v + t1 * (0.5 * a - t1 * J * (1.0 / 6.0))) + ap * ap * ap * inverse_J * inverse_J * (1.0 / 6.0);
  if (has_cruise) {
    const double t2 = (ap2 - A * A) * inverse_J / A;
    const double v3 = 0.5 * A * A * inverse_J;  // velocity at which the last phase begins
    d += t2 * (v3 + 0.5 * A * t2);
  }
  return sigma * d;
}
[[nodiscard]] inline double stop_displacement(double v, double a, double A, double J) noexcept {
  return stop_displacement(v, a, A, A, J);
}

/// Range of q over the whole stop. q is extreme at the start, at the end, and where v crosses zero: phases 2
/// and 3 have no crossing, phase 1 has one exactly when the joint first moves against sigma.
[[nodiscard]] inline Extent stop_extent(const MotionState& x, double A, double J) noexcept {
  const double end = x.q + stop_displacement(x.v, x.a, A, J);
  Extent extent{std::min(x.q, end), std::max(x.q, end)};
  const double sigma = stop_direction(x.v, x.a, J);
  const double v = sigma * x.v;
  if (v < 0) {
    const double a = sigma * x.a;
    const double t = -2 * v / (a + std::sqrt(std::max(0.0, a * a + 2 * J * v)));
    const double turn = x.q + sigma * t * (v + t * (0.5 * a - t * J * (1.0 / 6.0)));
    extent.lo = std::min(extent.lo, turn);
    extent.hi = std::max(extent.hi, turn);
  }
  return extent;
}

/// The first h seconds of the stop, exactly: jerk may switch inside the tick, and rest follows the end.
[[nodiscard]] inline TickMotion stop_motion(const StopProfile& stop, double J, double h) noexcept {
  const double durations[3] = {stop.t1, stop.t2, stop.t3};
  const double jerks[3] = {-stop.sigma * J, 0, stop.sigma * J};
  TickMotion motion;
  double left = h;
  for (int k = 0; k < 3 && left > 0; ++k) {
    const double dt = std::min(left, durations[k]);
    if (dt > 0) {
      motion.append(jerks[k], dt);
      left -= dt;
    }
  }
  if (left > 0) motion.append(0, left);
  return motion;
}

/// The state h seconds (or, at the very end, a billionth more) into the stop; velocity and acceleration are
/// exactly zero once it has ended. Tail property: the stop from the returned state is the rest of this stop.
[[nodiscard]] inline MotionState stop_sample(const MotionState& x, const StopProfile& stop,
                                             const TickMotion& motion, double A, double J,
                                             double h) noexcept {
  if (stop.duration() <= h * (1 + 1e-9))
    return {.q = x.q + stop_displacement(x.v, x.a, A, J), .v = 0, .a = 0};
  MotionState y = x;
  for (int k = 0; k < motion.count; ++k) {
    const JerkPiece& piece = motion.pieces[static_cast<std::size_t>(k)];
    y = advanced(y, piece.jerk, piece.duration);
  }
  y.a = std::clamp(y.a, -A, A);
  return y;
}

}  // namespace vla_rt::constraints
