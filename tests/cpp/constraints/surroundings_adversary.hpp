#pragma once
// The adversary of workspace and collision: random arms in random worlds under wild targets, stops and
// changes of limits. Judged by the kinematics and the distances alone.

#include <memory>
#include <string>
#include <vector>

#include "constraints/random_arm.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt::adversary {

/// How far every point of a workspace is inside its walls.
inline double inside_workspaces(const Kinematics& chain, const RandomWorld& world,
                                std::span<const double> q) {
  std::vector<Transform> links(chain.link_names().size());
  chain.link_transforms(q, links);
  double least = 1e300;
  for (const Workspace& w : world.workspaces) {
    const std::string link = w.link.empty() ? link_name(chain.num_joints()) : w.link;
    const Vector3 p = vla_rt::apply(links[static_cast<std::size_t>(chain.link_index(link))], w.offset);
    for (std::size_t k = 0; k < 3; ++k) least = std::min({least, p[k] - w.lower[k], w.upper[k] - p[k]});
    for (const HalfSpace& h : w.half_spaces)
      least = std::min(least, (h.offset - dot(h.normal, p)) / norm(h.normal));
  }
  return least;
}

/// `worst_position` of the tally is how far a point was out of its workspace or two things were inside each
/// other [m]; `altered` counts joint-ticks that the surroundings changed.
inline Tally attack_surroundings(std::uint64_t seed, std::int64_t joint_ticks) {
  constexpr unsigned kBlocked = kWorkspace | kCollision;
  Rng rng(seed);
  Tally tally;
  while (tally.joint_ticks < joint_ticks) {
    const Kinematics chain = random_chain(rng, 2 + rng.below(5));
    const std::size_t n = static_cast<std::size_t>(chain.num_joints());
    const JointLimits limits = chain_limits(rng, chain);
    const RandomWorld world = random_world(rng, chain);
    const CollisionModel model(chain, world.shapes);
    const double h = random_period(rng);
    ConstraintEnforcer enforcer(
        limits, h, EnforcerOptions{.path_preserving = rng.one_in(2), .smoothing_s = 0}, chain,
        Surroundings{.workspaces = world.workspaces, .collision = model, .check = nullptr});
    JointArray q{}, v{}, a{}, target{}, memory{};
    const auto start = [&] {
      const bool at_rest = rng.one_in(2);
      for (std::size_t j = 0; j < n; ++j) {
        MotionState x = random_start(rng, bounds_of(limits, j));
        if (at_rest) x.v = x.a = 0;
        q[j] = memory[j] = x.q;
        v[j] = x.v;
        a[j] = x.a;
      }
      try {
        enforcer.reset({q.data(), n}, {v.data(), n}, {a.data(), n});
        return true;
      } catch (const ConfigError&) {
        return false;  // not a free place, or no stop from there
      }
    };
    bool started = false;
    for (int attempt = 0; attempt < 200 && !started; ++attempt) started = start();
    if (!started) continue;
    const int kind = rng.below(10);
    int stopping = 0;
    ViolationCounter judge(limits, h);
    judge.reset(enforcer.position());
    EnforcerReport report;
    for (int t = 0; t < 600; ++t) {
      for (std::size_t j = 0; j < n; ++j)
        target[j] = wild_target(rng, kind, bounds_of(limits, j), t * h, memory[j]);
      if (rng.one_in(60)) {
        JointLimits tighter = limits;
        for (std::size_t j = 0; j < n; ++j) {
          tighter.max_velocity[j] *= rng.uniform(0.2, 1);
          tighter.max_acceleration[j] *= rng.uniform(0.2, 1);
          tighter.max_jerk[j] *= rng.uniform(0.2, 1);
        }
        enforcer.set_limits(tighter);
      }
      if (rng.one_in(100)) stopping = rng.one_in(3) ? 100 : 1;
      if (stopping-- > 0)
        enforcer.stop();
      else
        enforcer.apply({target.data(), n}, {}, report);
      judge.add(enforcer.position());
      if (t == 2) judge.forgive();  // the past of a moving start is not known to the judge
      for (const double fraction : {0.25, 0.5, 0.75, 1.0}) {
        enforcer.sample_last_tick(fraction, {q.data(), n}, {v.data(), n}, {a.data(), n});
        const double clear =
            std::min(inside_workspaces(chain, world, {q.data(), n}), model.distance({q.data(), n}));
        if (!(clear >= 0)) ++tally.violations;
        tally.worst_position = std::max(tally.worst_position, -clear);
      }
      for (std::size_t j = 0; j < n; ++j) tally.altered += (report.causes[j] & kBlocked) != 0 ? 1 : 0;
      tally.joint_ticks += chain.num_joints();
    }
    tally.violations += judge.total();
    for (int k = 1; k <= 3; ++k) {
      double& worst = tally.worst[static_cast<std::size_t>(k) - 1];
      worst = std::max(worst, judge.worst_ratio(k));
    }
  }
  return tally;
}

}  // namespace vla_rt::adversary
