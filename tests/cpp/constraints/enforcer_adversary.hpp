#pragma once
// Targets of every nasty kind, through the whole enforcer, while it is stopped, reset and given other limits.

#include <limits>

#include "constraints/adversary.hpp"

namespace vla_rt::adversary {

inline double wild_target(Rng& rng, int kind, const JointBounds& b, double t, double& memory) {
  const double width = b.max_q - b.min_q, centre = 0.5 * (b.min_q + b.max_q);
  const double natural = std::sqrt(b.A / width);  // roughly the fastest full-range oscillation
  switch (kind) {
    case 0:
      return rng.uniform(b.min_q - 1, b.max_q + 1);
    case 1:
      return rng.one_in(137) ? memory = (rng.below(2) != 0 ? b.max_q + 3 : b.min_q - 3) : memory;
    case 2:
      return rng.one_in(20) ? memory = (rng.below(2) != 0 ? b.max_q : b.min_q) : memory;
    case 3:
      return rng.one_in(300) ? memory = rng.uniform(b.min_q, b.max_q) : memory;
    case 4:
      return centre + 3 * width * std::sin(natural * t * (1 + 2 * t));  // sweeps through resonance
    case 5:
      return std::tan(3.14159 * (rng.unit() - 0.5)) * 1e6;  // Cauchy
    case 6: {
      const double wild[] = {std::numeric_limits<double>::quiet_NaN(),
                             std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity(), 1e308, -1e308};
      const int k = rng.below(20);
      return k < 5 ? wild[k] : rng.uniform(b.min_q, b.max_q);
    }
    case 7:
      return centre + 0.6 * width * std::sin(natural * t);
    case 8:
      return rng.one_in(40) ? memory = rng.uniform(b.min_q, b.max_q)
                            : memory + 0.01 * width * std::sin(0.3 * t);
    default:
      if (rng.one_in(20)) memory = -memory;
      return centre + std::copysign(0.5 * width, memory);
  }
}

inline double wild_feedforward(Rng& rng, double V) {
  const double wild[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                         1e300, -1e300};
  const int k = rng.below(30);
  return k < 4 ? wild[k] : rng.uniform(-2 * V, 2 * V);
}

/// One enforcer of up to 4 joints with every event at once: moving starts, wild targets and feed-forward,
/// stops, resets, limits widened and tightened while moving (judged by the wider of old and new until the new
/// ones hold).
inline Tally attack_enforcer(std::uint64_t seed, std::int64_t joint_ticks) {
  Rng rng(seed);
  Tally tally;
  while (tally.joint_ticks < joint_ticks) {
    const int num_joints = 1 + rng.below(4);
    const std::size_t n = static_cast<std::size_t>(num_joints);
    const double h = random_period(rng);
    const JointLimits limits = random_limits(rng, num_joints);
    EnforcerOptions options;
    options.path_preserving = rng.one_in(4);
    options.smoothing_s = rng.one_in(4) ? rng.log_uniform(0.002, 0.05) : 0;
    ConstraintEnforcer enforcer(limits, h, options);
    ViolationCounter judge(limits, h);
    JointArray q{}, v{}, a{}, target{}, feedforward{}, memory{};
    std::array<int, 4> kind{};
    const auto start = [&] {
      const bool moving = rng.below(2) != 0;
      for (std::size_t i = 0; i < n; ++i) {
        const JointBounds b = bounds_of(limits, i);
        const MotionState x = random_start(rng, b);
        q[i] = moving ? x.q : rng.uniform(b.min_q, b.max_q);
        if (!moving && rng.one_in(3)) q[i] = rng.below(2) != 0 ? b.min_q : b.max_q;
        v[i] = moving ? x.v : 0;
        a[i] = moving ? x.a : 0;
        memory[i] = q[i];
        kind[i] = rng.below(10);
      }
      enforcer.set_limits(limits);
      enforcer.reset({q.data(), n}, {v.data(), n}, {a.data(), n});
      return moving ? 3 : 0;
    };
    for (int life = 0; life < 2; ++life) {
      int unjudged = start();
      judge.reset(enforcer.position());
      const bool use_feedforward = rng.below(2) != 0;
      const bool change_limits = rng.one_in(3);
      const int length = 300 + rng.below(2500);
      EnforcerReport report;
      for (int t = 0; t < length; ++t) {
        for (std::size_t i = 0; i < n; ++i) {
          if (!rng.one_in(10)) target[i] = wild_target(rng, kind[i], bounds_of(limits, i), t * h, memory[i]);
          feedforward[i] = wild_feedforward(rng, limits.max_velocity[i]);
        }
        if (change_limits && rng.one_in(200)) {  // rates and range shrink to a random part of the judged ones
          JointLimits tighter = limits;
          for (std::size_t i = 0; i < n; ++i) {
            const double f = rng.uniform(0.2, 1);
            tighter.max_velocity[i] *= f;
            tighter.max_acceleration[i] *= rng.uniform(0.2, 1);
            tighter.max_jerk[i] *= rng.uniform(0.2, 1);
            const double cut = 0.2 * rng.unit() * (limits.max_position[i] - limits.min_position[i]);
            tighter.min_position[i] += cut;
            tighter.max_position[i] -= cut;
          }
          enforcer.set_limits(tighter);
        }
        if (rng.one_in(100))
          enforcer.stop();
        else
          enforcer.apply(
              {target.data(), n},
              use_feedforward ? std::span<const double>{feedforward.data(), n} : std::span<const double>{},
              report);
        const int found = judge.add(enforcer.position());
        if (unjudged > 0) {
          --unjudged;
          if (unjudged == 0) judge.forgive();
        } else {
          tally.violations += found;
        }
        for (std::size_t i = 0; i < n; ++i) {
          const double q_now = enforcer.position()[i];
          tally.worst_position = std::max(
              {tally.worst_position, q_now - limits.max_position[i], limits.min_position[i] - q_now});
          if (!(std::fabs(enforcer.velocity()[i]) <= limits.max_velocity[i] * (1 + 1e-9)) ||
              !(std::fabs(enforcer.acceleration()[i]) <= limits.max_acceleration[i] * (1 + 2e-9)) ||
              !(std::fabs(enforcer.jerk()[i]) <= limits.max_jerk[i] * (1 + 2e-9)))
            ++tally.violations;
          tally.altered += report.causes[i] != 0 ? 1 : 0;
        }
        tally.joint_ticks += num_joints;
      }
      tally.add_worst(judge);
    }
  }
  return tally;
}

}  // namespace vla_rt::adversary
