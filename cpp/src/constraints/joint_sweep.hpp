#pragma once
#include <algorithm>
#include <array>
#include <cmath>

#include "constraints/certified_stop.hpp"
#include "constraints/joint_bounds.hpp"
#include "constraints/motion_state.hpp"

namespace vla_rt::constraints {

/// One joint from now until it stands: one tick, then the certified stop from the state after it.
struct JointSweep {
  static constexpr int kMostPieces = 8;
  int count = 0;
  std::array<double, kMostPieces> begins{};
  std::array<MotionState, kMostPieces> states{};
  std::array<double, kMostPieces> jerks{};
  MotionState start, after, rest;
  double duration = 0;
  double J = 0;
  double lo = 0, hi = 0;          // holds q of the whole sweep
  double most_v = 0, most_a = 0;  // hold |v| and |a| of the whole sweep

  /// `motion` leads from `from` to `to` in h seconds; h = 0 for the bare stop from `to`.
  void build(const MotionState& from, const TickMotion& motion, const MotionState& to, const JointBounds& b,
             double h) noexcept {
    count = 0;
    J = b.J;
    start = from;
    after = to;
    double t = 0;
    MotionState x = from;
    const auto add = [&](double jerk, double length) {
      const std::size_t k = static_cast<std::size_t>(count++);
      begins[k] = t;
      states[k] = x;
      jerks[k] = jerk;
      x = advanced(x, jerk, length);
      t += length;
    };
    if (h > 0)
      for (int k = 0; k < motion.count; ++k) {
        const JerkPiece& piece = motion.pieces[static_cast<std::size_t>(k)];
        add(piece.jerk, piece.duration);
      }
    t = h;
    x = to;
    const StopProfile stop = stop_profile(x.v, x.a, b.A, b.J);
    if (stop.t1 > 0) add(-stop.sigma * b.J, stop.t1);
    if (stop.t2 > 0) add(0, stop.t2);
    if (stop.t3 > 0) add(stop.sigma * b.J, stop.t3);
    duration = t;
    rest = {.q = to.q + stop_displacement(to.v, to.a, b.A, b.J), .v = 0, .a = 0};

    const Extent extent = stop_extent(to, b.A, b.J);
    const double tick_v = std::max(std::fabs(from.v), std::fabs(to.v)) + 0.125 * b.J * h * h;
    lo = std::min(extent.lo, from.q - h * tick_v);
    hi = std::max(extent.hi, from.q + h * tick_v);
    most_v = std::max(tick_v, std::fabs(to.v + 0.5 * to.a * std::fabs(to.a) / b.J));
    most_a = b.A;
  }

  [[nodiscard]] MotionState at(double t) const noexcept {
    if (t >= duration || count == 0) return rest;
    int k = count - 1;
    while (k > 0 && begins[static_cast<std::size_t>(k)] > t) --k;
    const std::size_t i = static_cast<std::size_t>(k);
    return advanced(states[i], jerks[i], t - begins[i]);
  }
};

}  // namespace vla_rt::constraints
