#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "vla_rt/constraints/joint_limits.hpp"

namespace vla_rt::constraints {

/// Limits of one joint as the filter uses them. The inner values leave room for rounding: a stop is thousands
/// of sampled ticks long and each rounds, so accepted states end a hair inside and the emitted ones stay
/// exactly within.
struct JointBounds {
  double min_q = 0, max_q = 0;              // exact range
  double V = 0, A = 0, J = 0;               // velocity, acceleration, jerk
  double inner_min_q = 0, inner_max_q = 0;  // range of accepted stops
  double goal_min_q = 0, goal_max_q = 0;    // range of targets: a rounded arrival is still accepted
  double inner_V = 0;

  static JointBounds make(double min_q, double max_q, double V, double A, double J) noexcept {
    JointBounds b{.min_q = min_q, .max_q = max_q, .V = V, .A = A, .J = J};
    const double most = 1e-3 * (max_q - min_q);
    b.inner_min_q = min_q + std::min(1e-11 * std::max(1.0, std::fabs(min_q)), most);
    b.inner_max_q = max_q - std::min(1e-11 * std::max(1.0, std::fabs(max_q)), most);
    b.goal_min_q = b.inner_min_q + (b.inner_min_q - min_q);
    b.goal_max_q = b.inner_max_q - (max_q - b.inner_max_q);
    b.inner_V = V * (1 - 1e-12);
    return b;
  }
};

[[nodiscard]] inline JointBounds bounds_of(const JointLimits& l, std::size_t i) noexcept {
  return JointBounds::make(l.min_position[i], l.max_position[i], l.max_velocity[i], l.max_acceleration[i],
                           l.max_jerk[i]);
}

/// False for NaN.
[[nodiscard]] inline bool within(double x, double lo, double hi) noexcept { return x >= lo && x <= hi; }

/// A few units in the last place of a position.
[[nodiscard]] inline double rounding_of(double q) noexcept {
  return 2 * std::numeric_limits<double>::epsilon() * std::max(1.0, std::fabs(q));
}

}  // namespace vla_rt::constraints
