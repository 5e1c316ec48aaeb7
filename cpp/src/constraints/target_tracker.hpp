#pragma once
#include <algorithm>
#include <cmath>

#include "constraints/certified_stop.hpp"
#include "constraints/motion_state.hpp"
#include "constraints/target_estimator.hpp"

namespace vla_rt::constraints {

/// Rates the tracking law may use; the filter keeps the limits whatever these are.
struct TrackingRates {
  double A = 0, J = 0;
};

struct TrackingWish {
  double jerk = 0;
  bool saturated = false;  ///< the target cannot be met now: the limits, not the law, decide
};

/// The jerk, held for h seconds, after which the stop from error e ends at zero error, to 1e-4 J; the nearest
/// one within +-J where none does. One bound on |a| for each direction of the stop.
[[nodiscard]] inline double jerk_to_stop_on_target(const MotionState& e, double A_forward, double A_backward,
                                                   double J, double h) noexcept {
  const auto miss = [&](double u) {
    const MotionState z = advanced(e, u, h);
    return z.q + stop_displacement(z.v, z.a, A_forward, A_backward, J);
  };
  double hi = J, miss_hi = miss(hi);
  if (!(miss_hi > 0)) return hi;
  double lo = -J, miss_lo = miss(lo);
  if (!(miss_lo < 0)) return lo;
  double u = 0;
  int last_side = 0;
  for (int k = 0; k < 12; ++k) {
    u = (lo * miss_hi - hi * miss_lo) / (miss_hi - miss_lo);
    const bool inside = u > lo && u < hi;
    if (!inside) u = 0.5 * (lo + hi);
    const double m = miss(u);
    if (m > 0) {
      hi = u;
      miss_hi = m;
      if (last_side == 1) miss_lo *= 0.5;
      last_side = 1;
    } else {
      lo = u;
      miss_lo = m;
      if (last_side == -1) miss_hi *= 0.5;
      last_side = -1;
    }
    if (hi - lo < 1e-4 * J || std::fabs(m) < 1e-12) break;
  }
  return u;
}

/// Which jerk brings the joint onto its target.
///
/// Near the target: linear, all three discrete poles at p = 1 - delta of the error (e, de, dde) to the moving
/// target,
///   u = -[delta^3 e/h^3 + (3 delta^2 - delta^3) de/h^2 + (3 delta - 3/2 delta^2 + delta^3/3) dde/h].
/// Far from it: the jerk after which the stop relative to the target ends on the target (time-optimal to one
/// tick), by a bracketed root of at most 12 steps (Illinois variant of false position).
class TargetTracker {
 public:
  TargetTracker() = default;
  TargetTracker(double delta, double h) noexcept
      : h_(h),
        gain_e_(delta * delta * delta / (h * h * h)),
        gain_v_((3 * delta * delta - delta * delta * delta) / (h * h)),
        gain_a_((3 * delta - 1.5 * delta * delta + delta * delta * delta / 3) / h) {}

  /// The error at the tick's start, against a target that reaches `target` at its end.
  [[nodiscard]] MotionState error(const MotionState& x, const TargetMotion& target) const noexcept {
    return {.q = x.q - (target.q - h_ * (target.v - 0.5 * h_ * target.a)),
            .v = x.v - (target.v - target.a * h_),
            .a = x.a - target.a};
  }

  [[nodiscard]] TrackingWish wish(const MotionState& e, const TargetMotion& target,
                                  const TrackingRates& rates) const noexcept {
    const double part_e = gain_e_ * e.q, part_v = gain_v_ * e.v, part_a = gain_a_ * e.a;
    if (std::fabs(part_e) + std::fabs(part_v) + std::fabs(part_a) <= rates.J)
      return {.jerk = -(part_e + part_v + part_a), .saturated = false};
    // The target's own acceleration helps one direction of the relative stop and hinders the other.
    const double least = 0.2 * rates.A;
    const double A_forward = std::max(rates.A + target.a, least),
                 A_backward = std::max(rates.A - target.a, least);
    return {.jerk = jerk_to_stop_on_target(e, A_forward, A_backward, rates.J, h_), .saturated = true};
  }

 private:
  double h_ = 0, gain_e_ = 0, gain_v_ = 0, gain_a_ = 0;
};

}  // namespace vla_rt::constraints
