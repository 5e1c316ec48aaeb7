#pragma once
// Adversaries of the constraint enforcer and the joint filter: random limits, starts and wishes of every
// nasty kind, and a search that maximises nearness to a violation. Shared by the property tests and the long
// campaign.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

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

// ---- wished jerks, straight into the filter
// ------------------------------------------------------------------------

inline double wished_jerk(Rng& rng, int kind, const JointBounds& b, const MotionState& x, double& memory,
                          bool altered) {
  switch (kind) {
    case 0:
      return rng.uniform(-2, 2) * b.J;
    case 1:
      return rng.one_in(15) ? memory = (rng.below(2) != 0 ? b.J : -b.J) : memory;
    case 2:
      return rng.one_in(200) ? memory = -memory : memory;
    case 3: {
      const double wild[] = {std::numeric_limits<double>::quiet_NaN(),
                             std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity(),
                             -1e300,
                             1e300,
                             0};
      const int k = rng.below(8);
      return k < 6 ? wild[k] : rng.uniform(-1, 1) * b.J;
    }
    case 4:
      return (x.q > 0.5 * (b.min_q + b.max_q)) == !rng.one_in(30) ? b.J : -b.J;  // pushes at the nearer limit
    case 5:
      if ((altered && rng.one_in(3)) || rng.one_in(400)) memory = -memory;
      return memory;
    default:
      return x.v == 0 ? b.J : std::copysign(b.J, x.v) * (rng.one_in(50) ? -1 : 1);  // always faster
  }
}

inline Tally attack_filter(std::uint64_t seed, std::int64_t joint_ticks) {
  Rng rng(seed);
  Tally tally;
  while (tally.joint_ticks < joint_ticks) {
    const double h = random_period(rng);
    const JointLimits limits = random_limits(rng, 1);
    const JointBounds b = bounds_of(limits, 0);
    MotionState x = random_start(rng, b);
    ViolationCounter judge(limits, h);
    judge.reset({&x.q, 1});
    const bool from_rest = x.v == 0 && x.a == 0;
    const int kind = rng.below(7), length = 500 + rng.below(4000);
    double memory = b.J;
    bool altered = false;
    for (int t = 0; t < length; ++t) {
      const MotionState before = x;
      TickMotion motion;
      altered = filter_tick(x, wished_jerk(rng, kind, b, x, memory, altered), b, h, motion) != 0;
      judge.add({&x.q, 1});
      if (t == 2 && !from_rest) judge.forgive();  // the past of a moving start is not known to the judge
      tally.violations += strict_violations(before, x, motion, h, b, tally);
      tally.altered += altered ? 1 : 0;
      ++tally.joint_ticks;
    }
    tally.violations += judge.total();
    for (int k = 1; k <= 3; ++k) {
      double& worst = tally.worst[static_cast<std::size_t>(k) - 1];
      worst = std::max(worst, judge.worst_ratio(k));
    }
  }
  return tally;
}

// ---- targets, through the whole enforcer
// ---------------------------------------------------------------------------

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
      for (int k = 1; k <= 3; ++k) {
        double& worst = tally.worst[static_cast<std::size_t>(k) - 1];
        worst = std::max(worst, judge.worst_ratio(k));
      }
    }
  }
  return tally;
}

// ---- search: a (1+1) evolution strategy over switching patterns that maximises nearness to a violation
// --------------

inline Tally attack_by_search(std::uint64_t seed, std::int64_t joint_ticks) {
  Rng rng(seed);
  Tally tally;
  while (tally.joint_ticks < joint_ticks) {
    const double h = random_period(rng);
    const JointLimits limits = random_limits(rng, 1);
    const JointBounds b = bounds_of(limits, 0);
    const bool by_target = rng.below(2) != 0;
    const std::size_t switches = static_cast<std::size_t>(4 + rng.below(10));
    const auto nearness = [&](const std::vector<double>& gene) {
      MotionState x{.q = 0.5 * (b.min_q + b.max_q), .v = 0, .a = 0};
      ConstraintEnforcer enforcer(limits, h);
      enforcer.reset({&x.q, 1});
      ViolationCounter judge(limits, h);
      judge.reset({&x.q, 1});
      double nearest = -1e300;
      EnforcerReport report;
      for (std::size_t k = 0; k < switches; ++k) {
        const int length = 1 + static_cast<int>(std::min(600.0, std::fabs(gene[2 * k])));
        for (int t = 0; t < length; ++t) {
          if (by_target) {
            const double target = 0.5 * (b.min_q + b.max_q) + gene[2 * k + 1] * (b.max_q - b.min_q);
            enforcer.apply({&target, 1}, {}, report);
            x = {.q = enforcer.position()[0], .v = enforcer.velocity()[0], .a = enforcer.acceleration()[0]};
          } else {
            const MotionState before = x;
            TickMotion motion;
            tally.altered += filter_tick(x, gene[2 * k + 1] * b.J, b, h, motion) != 0 ? 1 : 0;
            tally.violations += strict_violations(before, x, motion, h, b, tally);
          }
          judge.add({&x.q, 1});
          nearest = std::max(nearest, std::max(x.q - b.max_q, b.min_q - x.q) / (b.max_q - b.min_q));
        }
        tally.joint_ticks += length;
      }
      tally.violations += judge.total();
      for (int k = 1; k <= 3; ++k) {
        double& worst = tally.worst[static_cast<std::size_t>(k) - 1];
        worst = std::max(worst, judge.worst_ratio(k));
      }
      tally.worst_position = std::max(tally.worst_position, nearest * (b.max_q - b.min_q));
      return 1e6 * static_cast<double>(judge.total()) + nearest + judge.worst_ratio(1) +
             judge.worst_ratio(2) + judge.worst_ratio(3);
    };
    std::vector<double> best(2 * switches);
    for (std::size_t k = 0; k < switches; ++k) {
      best[2 * k] = rng.log_uniform(1, 300);
      best[2 * k + 1] = rng.uniform(-1.2, 1.2);
    }
    double best_score = nearness(best), step = 0.5;
    for (int round = 0; round < 60; ++round) {
      std::vector<double> trial = best;
      for (std::size_t k = 0; k < switches; ++k) {
        if (rng.below(2) != 0) trial[2 * k] *= std::exp(2 * step * (rng.unit() + rng.unit() - 1));
        if (rng.below(2) != 0) trial[2 * k + 1] += 2 * step * (rng.unit() + rng.unit() - 1);
      }
      const double score = nearness(trial);
      if (score >= best_score) {
        best_score = score;
        best = trial;
        step = std::min(1.0, 1.3 * step);
      } else {
        step = std::max(0.002, 0.93 * step);
      }
    }
  }
  return tally;
}

}  // namespace vla_rt::adversary
