#pragma once
#include <cmath>

#include "constraints/certified_stop.hpp"
#include "constraints/joint_bounds.hpp"
#include "vla_rt/constraints/enforcer_report.hpp"

// The safe set S of one joint: states from which the certified stop keeps every limit.
//   |a| <= A,   v + max(a,0)^2/2J <= V,   v - min(a,0)^2/2J >= -V,   the whole stop within [min_q, max_q]
// S is invariant: from a state of S the stop itself stays in S (its tail is the stop of every later state),
// for every tick length. All tests are written so that NaN fails.

namespace vla_rt::constraints {

inline constexpr unsigned kPosition = static_cast<unsigned>(Cause::Position);
inline constexpr unsigned kVelocity = static_cast<unsigned>(Cause::Velocity);
inline constexpr unsigned kAcceleration = static_cast<unsigned>(Cause::Acceleration);
inline constexpr unsigned kJerk = static_cast<unsigned>(Cause::Jerk);
inline constexpr unsigned kWorkspace = static_cast<unsigned>(Cause::Workspace);
inline constexpr unsigned kCollision = static_cast<unsigned>(Cause::Collision);
inline constexpr unsigned kNonFinite = static_cast<unsigned>(Cause::NonFinite);

/// The first limit that keeps x out of S, as a `Cause` bit; 0 when x is in S.
[[nodiscard]] inline unsigned outside_safe_set(const MotionState& x, const JointBounds& b, double V,
                                               const Extent& range) noexcept {
  if (!(std::fabs(x.a) <= b.A)) return kAcceleration;
  const double peak = 0.5 * x.a * std::fabs(x.a) / b.J;  // velocity still gained while a returns to zero
  if (!(x.v + std::fmax(peak, 0) <= V) || !(x.v + std::fmin(peak, 0) >= -V)) return kVelocity;
  const Extent extent = stop_extent(x, b.A, b.J);
  return extent.hi <= range.hi && extent.lo >= range.lo ? 0 : kPosition;
}

/// The first limit broken strictly inside t seconds of jerk u from x, though both ends may be in S: v peaks
/// where a crosses zero, q where v does.
[[nodiscard]] inline unsigned broken_between(const MotionState& x, double u, double t, double V,
                                             const Extent& range) noexcept {
  const MotionState end = advanced(x, u, t);
  const bool peaks = x.a * end.a < 0;
  if (peaks && !(std::fabs(x.v - 0.5 * x.a * x.a / u) <= V)) return kVelocity;
  const bool may_turn = x.v * end.v <= 0 || (peaks && x.v * x.a <= 0);
  if (!may_turn) return 0;
  const double discriminant = x.a * x.a - 2 * u * x.v;
  if (!(discriminant >= 0)) return 0;
  const double w = -(x.a + std::copysign(std::sqrt(discriminant), x.a));
  const double roots[2] = {u != 0 ? w / u : -1, w != 0 ? 2 * x.v / w : -1};
  for (const double root : roots) {
    const bool inside = root > 0 && root < t;
    if (!inside) continue;
    const double q = advanced(x, u, root).q;
    if (!within(q, range.lo, range.hi)) return kPosition;
  }
  return 0;
}

}  // namespace vla_rt::constraints
