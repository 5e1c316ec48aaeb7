#pragma once
// A search, a (1+1) evolution strategy over switching patterns, that maximises nearness to a violation.

#include <vector>

#include "constraints/adversary.hpp"

namespace vla_rt::adversary {

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
      tally.add_worst(judge);
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
