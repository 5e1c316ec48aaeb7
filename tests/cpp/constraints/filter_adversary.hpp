#pragma once
// Wished jerks of every nasty kind, straight into the joint filter.

#include <limits>

#include "constraints/adversary.hpp"

namespace vla_rt::adversary {

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
    tally.add_worst(judge);
  }
  return tally;
}

}  // namespace vla_rt::adversary
