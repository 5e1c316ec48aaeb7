#pragma once
// What the adversaries of joint filter and enforcer share: random limits and starts, and how a tick is
// judged. Each adversary is used by a property test and by the long campaign.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "constraints/joint_filter.hpp"
#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/constraints/violation_counter.hpp"

namespace vla_rt::adversary {

using namespace vla_rt::constraints;

struct Rng {
  std::uint64_t state;
  explicit Rng(std::uint64_t seed) : state(seed * 0x9E3779B97F4A7C15ull + 0x632BE59BD9B4E019ull) {}
  std::uint64_t next() {  // splitmix64
    std::uint64_t z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double uniform(double lo, double hi) { return lo + (hi - lo) * unit(); }
  double log_uniform(double lo, double hi) { return std::exp(uniform(std::log(lo), std::log(hi))); }
  int below(int n) { return static_cast<int>(next() % static_cast<std::uint64_t>(n)); }
  bool one_in(int n) { return below(n) == 0; }
};

struct Tally {
  std::int64_t joint_ticks = 0;
  std::int64_t violations =
      0;  // re-differentiated from positions alone, or by the strict look inside each tick
  double worst_position = -1e300;  // beyond the range [rad]; negative is inside
  std::array<double, 3> worst{};   // velocity, acceleration, jerk relative to the limit, rounding included
  std::int64_t altered = 0;        // joint-ticks in which the wish was changed

  void add_worst(const ViolationCounter& judge) {
    for (int k = 1; k <= 3; ++k) {
      double& of_order = worst[static_cast<std::size_t>(k) - 1];
      of_order = std::max(of_order, judge.worst_ratio(k));
    }
  }
  void add(const Tally& o) {
    joint_ticks += o.joint_ticks;
    violations += o.violations;
    worst_position = std::max(worst_position, o.worst_position);
    for (std::size_t k = 0; k < 3; ++k) worst[k] = std::max(worst[k], o.worst[k]);
    altered += o.altered;
  }
};

inline double random_period(Rng& rng) {
  constexpr double kPeriods[] = {2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 1e-2};
  return kPeriods[rng.below(6)];
}

inline JointLimits random_limits(Rng& rng, int num_joints) {
  JointLimits limits;
  limits.num_joints = num_joints;
  for (std::size_t i = 0; i < static_cast<std::size_t>(num_joints); ++i) {
    const double centre = rng.uniform(-3, 3), half = 0.5 * rng.log_uniform(0.02, 6);
    limits.min_position[i] = centre - half;
    limits.max_position[i] = centre + half;
    limits.max_velocity[i] = rng.log_uniform(0.05, 8);
    limits.max_acceleration[i] = rng.log_uniform(0.5, 50);
    limits.max_jerk[i] = rng.log_uniform(50, 20000);
  }
  return limits;
}

/// A state of the safe set, mostly on its boundary: extreme acceleration, extreme velocity, a stop that ends
/// on a limit.
inline MotionState random_start(Rng& rng, const JointBounds& b) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    MotionState x;
    const int kind = rng.below(4);
    x.a = kind == 0 ? b.A : kind == 1 ? -b.A : rng.uniform(-b.A, b.A);
    const double peak = 0.5 * x.a * std::fabs(x.a) / b.J;
    const double highest = b.V - std::fmax(peak, 0), lowest = -b.V - std::fmin(peak, 0);
    if (highest < lowest) continue;
    switch (rng.below(5)) {
      case 0:
        x.v = highest;
        break;
      case 1:
        x.v = lowest;
        break;
      case 2:
        x.v = 0;
        break;
      case 3:
        x.v = -peak;
        break;
      default:
        x.v = rng.uniform(lowest, highest);
    }
    if (x.v > highest || x.v < lowest) continue;
    const Extent stop = stop_extent(x, b.A, b.J);
    const double lowest_q = b.min_q - stop.lo, highest_q = b.max_q - stop.hi;
    if (highest_q < lowest_q) continue;
    const int where = rng.below(3);
    x.q = where == 0 ? highest_q : where == 1 ? lowest_q : rng.uniform(lowest_q, highest_q);
    if (x.q >= b.min_q && x.q <= b.max_q && outside_safe_set(x, b, b.V, {b.min_q, b.max_q}) == 0) return x;
  }
  const int where = rng.below(3);
  return {.q = where == 0 ? b.min_q : where == 1 ? b.max_q : rng.uniform(b.min_q, b.max_q), .v = 0, .a = 0};
}

/// Looks at the state and into the tick: every limit at 5 instants, no tolerance but rounding.
inline int strict_violations(const MotionState& before, const MotionState& after, const TickMotion& motion,
                             double h, const JointBounds& b, Tally& tally) {
  int found = 0;
  const auto look = [&](const MotionState& x, double slack) {
    tally.worst_position = std::max({tally.worst_position, x.q - b.max_q, b.min_q - x.q});
    if (!(x.q <= b.max_q + slack && x.q >= b.min_q - slack)) ++found;
    if (!(std::fabs(x.v) <= b.V * (1 + 1e-9)) || !(std::fabs(x.a) <= b.A * (1 + 2e-9))) ++found;
  };
  look(after, 0);
  const double slack = 8 * rounding_of(std::max(std::fabs(b.min_q), std::fabs(b.max_q)));
  for (const double fraction : {0.2, 0.4, 0.6, 0.8}) look(motion.at(before, fraction * h), slack);
  for (int k = 0; k < motion.count; ++k)
    if (!(std::fabs(motion.pieces[static_cast<std::size_t>(k)].jerk) <= b.J * (1 + 2e-9))) ++found;
  return found;
}

}  // namespace vla_rt::adversary
