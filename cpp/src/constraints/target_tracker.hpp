#pragma once
#include <algorithm>
#include <cmath>

#include "constraints/certified_stop.hpp"
#include "constraints/motion_state.hpp"
#include "constraints/target_estimator.hpp"

namespace vla_rt::constraints {

/// Rates the tracking law may use; the filter keeps the limits whatever these are.
struct TrackingRates {
  double V = 0, A = 0, J = 0;
};

struct TrackingWish {
  TickMotion motion;
  bool saturated = false;  ///< the target cannot be met now: the limits, not the law, decide
};

/// Where f, which is y at x and has the opposite sign at `other`, has its zero: the nearest point found on
/// the side of x, to `tolerance`, by at most 12 steps of false position (Illinois variant).
template <class F>
[[nodiscard]] double zero_before(const F& f, double x, double y, double other, double y_other,
                                 double tolerance) noexcept {
  int last_side = 0;
  for (int k = 0; k < 12 && std::fabs(other - x) > tolerance && std::fabs(y) > 1e-12; ++k) {
    double z = (x * y_other - other * y) / (y_other - y);
    const bool inside = std::min(x, other) < z && z < std::max(x, other);
    if (!inside) z = 0.5 * (x + other);
    const double value = f(z);
    if ((value > 0) == (y > 0)) {
      x = z;
      y = value;
      if (last_side == 1) y_other *= 0.5;
      last_side = 1;
    } else {
      other = z;
      y_other = value;
      if (last_side == -1) y *= 0.5;
      last_side = -1;
    }
  }
  return x;
}

/// The tick of h seconds after which the stop from error e ends at zero error, or as near to it as the jerks
/// allow: the `edge` of them (the most forward one for true, backward for false), or its mix with the first h
/// seconds of the stop itself. One bound on |a| for each direction of the stop.
///
/// The stop switches its jerk inside ticks, so that one that ends on the target is followed exactly at every
/// period, however fast J turns A round; and a mix that falls short of the target keeps it before the stop.
template <class Edge>
void stop_on_target(const MotionState& e, double A_forward, double A_backward, double J, const Edge& edge_of,
                    double h, TickMotion& out) noexcept {
  constexpr double kExact = 1e-12, kShareTolerance = 1e-4;
  const auto miss = [&](const MotionState& z) {
    return z.q + stop_displacement(z.v, z.a, A_forward, A_backward, J);
  };
  const double miss_of_stop = miss(e);  // of every state on it, too: its tail is the same stop
  const bool on_it = std::fabs(miss_of_stop) <= kExact;
  const double edge = edge_of(miss_of_stop < 0);
  const double miss_of_edge = miss(advanced(e, edge, h));
  const bool between = (miss_of_edge > 0) != (miss_of_stop > 0);
  const bool edge_is_nearer = miss_of_stop < 0 ? miss_of_edge > miss_of_stop : miss_of_edge < miss_of_stop;
  out.set(edge, h);
  if (!on_it && !between && edge_is_nearer) return;

  const double A = stop_direction(e.v, e.a, J) > 0 ? A_forward : A_backward;
  const TickMotion stop = stop_motion(stop_profile(e.v, e.a, A, J), J, h);
  const auto miss_of_mix = [&](double share) {
    MotionState z = e;
    out.count = 0;
    for (int k = 0; k < stop.count; ++k) {
      const JerkPiece& piece = stop.pieces[static_cast<std::size_t>(k)];
      const double jerk = edge + (piece.jerk - edge) * share;
      out.append(jerk, piece.duration);
      z = advanced(z, jerk, piece.duration);
    }
    return miss(z);
  };
  double share = 1;
  if (!on_it && between)
    share = miss_of_stop < 0 ? zero_before(miss_of_mix, 1, miss_of_stop, 0, miss_of_edge, kShareTolerance)
                             : zero_before(miss_of_mix, 0, miss_of_edge, 1, miss_of_stop, kShareTolerance);
  static_cast<void>(miss_of_mix(share));
}

/// How to bring the joint onto its target.
///
/// Near the target: linear, all three discrete poles at p = 1 - delta of the error (e, de, dde) to the moving
/// target,
///   u = -[delta^3 e/h^3 + (3 delta^2 - delta^3) de/h^2 + (3 delta - 3/2 delta^2 + delta^3/3) dde/h],
/// as long as that stays clear of all rates. Beyond, and for a target that stands until it is all but
/// reached: the tick after which the stop relative to the target ends on the target (time-optimal to a tick
/// or two).
class TargetTracker {
 public:
  TargetTracker() = default;
  TargetTracker(double delta, double h) noexcept
      : h_(h),
        gain_e_(delta * delta * delta / (h * h * h)),
        gain_v_((3 * delta * delta - delta * delta * delta) / (h * h)),
        gain_a_((3 * delta - 1.5 * delta * delta + delta * delta * delta / 3) / h),
        // From rest the law moves at most with delta e/h: half of V is allowed to that, and half of A to one
        // tick.
        linear_per_V_(0.5 * delta * delta / (h * h)),
        linear_per_A_(0.5 / h) {}

  /// The error at the tick's start, against a target that reaches `target` at its end.
  [[nodiscard]] MotionState error(const MotionState& x, const TargetMotion& target) const noexcept {
    return {.q = x.q - (target.q - h_ * (target.v - 0.5 * h_ * target.a)),
            .v = x.v - (target.v - target.a * h_),
            .a = x.a - target.a};
  }

  /// `edge_of` as for `stop_on_target`.
  template <class Edge>
  void wish(const MotionState& e, const TargetMotion& target, const TrackingRates& rates, const Edge& edge_of,
            TrackingWish& out) const noexcept {
    const double part_e = gain_e_ * e.q, part_v = gain_v_ * e.v, part_a = gain_a_ * e.a;
    const bool stands = target.v == 0 && target.a == 0;
    const double linear =
        (stands ? kStandingShare : 1) * std::min({rates.J, linear_per_A_ * rates.A, linear_per_V_ * rates.V});
    out.saturated = !(std::fabs(part_e) + std::fabs(part_v) + std::fabs(part_a) <= linear);
    if (!out.saturated) return out.motion.set(-(part_e + part_v + part_a), h_);
    // The target's own acceleration helps one direction of the relative stop and hinders the other.
    const double least = 0.2 * rates.A;
    stop_on_target(e, std::max(rates.A + target.a, least), std::max(rates.A - target.a, least), rates.J,
                   edge_of, h_, out.motion);
  }

 private:
  static constexpr double kStandingShare = 0.03;

  double h_ = 0, gain_e_ = 0, gain_v_ = 0, gain_a_ = 0, linear_per_V_ = 0, linear_per_A_ = 0;
};

}  // namespace vla_rt::constraints
