#pragma once
// The adversary of workspace and collision: random arms in random worlds, with joints beside the arm's, under
// wild targets, stops, resets and changes of limits. Judged by the kinematics and the distances alone.

#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "constraints/enforcer_adversary.hpp"
#include "constraints/random_arm.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt::adversary {

/// How far every point of a workspace is inside its walls, and every axis inside its cone (of 1 m, as the
/// report counts).
inline double inside_workspaces(const Kinematics& chain, const RandomWorld& world,
                                std::span<const double> q) {
  std::vector<Transform> links(chain.link_names().size());
  chain.link_transforms(q, links);
  double least = 1e300;
  for (const Workspace& w : world.workspaces) {
    const std::string name = w.link.empty() ? link_name(chain.num_joints()) : w.link;
    const Transform& link = links[static_cast<std::size_t>(chain.link_index(name))];
    const Vector3 p = vla_rt::apply(link, w.offset);
    for (std::size_t k = 0; k < 3; ++k) least = std::min({least, p[k] - w.lower[k], w.upper[k] - p[k]});
    for (const HalfSpace& h : w.half_spaces)
      least = std::min(least, (h.offset - dot(h.normal, p)) / norm(h.normal));
    if (w.cone) {
      const Vector3 axis = rotate(link.rotation, w.cone->axis);
      const double cosine = dot(axis, w.cone->direction) / norm(axis) / norm(w.cone->direction);
      least = std::min(least, cosine - std::cos(w.cone->max_angle));
    }
  }
  return least;
}

/// An arm whose joints stand in any order among a few others, such as a gripper's.
class SurroundedArm {
 public:
  SurroundedArm(Rng& rng, const Kinematics& chain_)
      : chain(chain_), world(random_world(rng, chain)), model(chain, world.shapes) {
    const JointLimits of_chain = chain_limits(rng, chain);
    limits = random_limits(rng, chain.num_joints() + rng.below(3));
    std::vector<int> order(static_cast<std::size_t>(limits.num_joints));
    std::iota(order.begin(), order.end(), 0);
    for (std::size_t k = order.size() - 1; k > 0; --k)
      std::swap(order[k], order[static_cast<std::size_t>(rng.below(static_cast<int>(k) + 1))]);
    joints.assign(order.begin(), order.begin() + chain.num_joints());
    for (std::size_t k = 0; k < joints.size(); ++k) {
      const auto i = static_cast<std::size_t>(joints[k]);
      limits.min_position[i] = of_chain.min_position[k];
      limits.max_position[i] = of_chain.max_position[k];
      limits.max_acceleration[i] = of_chain.max_acceleration[k];
      limits.max_jerk[i] = of_chain.max_jerk[k];
    }
  }
  [[nodiscard]] Surroundings surroundings() const {
    return {.workspaces = world.workspaces, .collision = model, .check = nullptr, .chain_joints = joints};
  }
  /// How clear of everything it is, q of all joints.
  [[nodiscard]] double clearance(const JointArray& q) const {
    JointArray of_chain{};
    for (std::size_t k = 0; k < joints.size(); ++k) of_chain[k] = q[static_cast<std::size_t>(joints[k])];
    const std::span<const double> there{of_chain.data(), joints.size()};
    return std::min(inside_workspaces(chain, world, there), model.distance(there));
  }

  Kinematics chain;
  RandomWorld world;
  CollisionModel model;
  JointLimits limits;
  std::vector<int> joints;  // of the chain
};

inline JointLimits tightened(Rng& rng, const JointLimits& limits) {
  JointLimits tighter = limits;
  const bool range_too = rng.one_in(4);
  for (std::size_t j = 0; j < static_cast<std::size_t>(limits.num_joints); ++j) {
    tighter.max_velocity[j] *= rng.uniform(0.2, 1);
    tighter.max_acceleration[j] *= rng.uniform(0.2, 1);
    tighter.max_jerk[j] *= rng.uniform(0.2, 1);
    const double cut = range_too ? 0.1 * rng.unit() * (limits.max_position[j] - limits.min_position[j]) : 0;
    tighter.min_position[j] += cut;
    tighter.max_position[j] -= cut;
  }
  return tighter;
}

/// `worst_position` of the tally is how far a point was out of its workspace or two things were inside each
/// other [m]; `altered` counts joint-ticks that the surroundings changed.
inline Tally attack_surroundings(std::uint64_t seed, std::int64_t joint_ticks) {
  constexpr unsigned kBlocked = kWorkspace | kCollision;
  Rng rng(seed);
  Tally tally;
  while (tally.joint_ticks < joint_ticks) {
    const SurroundedArm arm(rng, random_chain(rng, 2 + rng.below(5)));
    const JointLimits& limits = arm.limits;
    const std::size_t n = static_cast<std::size_t>(limits.num_joints);
    const double h = random_period(rng);
    ConstraintEnforcer enforcer(limits, h,
                                EnforcerOptions{.path_preserving = rng.one_in(2), .smoothing_s = 0},
                                arm.chain, arm.surroundings());
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
        enforcer.set_limits(limits);
        enforcer.reset({q.data(), n}, {v.data(), n}, {a.data(), n});
        return true;
      } catch (const ConfigError&) {
        return false;  // not a free place, or no stop from there
      }
    };
    bool started = false;
    for (int attempt = 0; attempt < 200 && !started; ++attempt) started = start();
    if (!started) continue;
    int kind = rng.below(10), stopping = 0,
        unjudged = 3;  // the past of a moving start is not known to the judge
    ViolationCounter judge(limits, h);
    judge.reset(enforcer.position());
    const auto close = [&] {  // a life that ends within its first ticks is not judged
      if (unjudged > 0) return;
      tally.violations += judge.total();
      tally.add_worst(judge);
    };
    EnforcerReport report;
    for (int t = 0; t < 600; ++t) {
      for (std::size_t j = 0; j < n; ++j)
        target[j] = wild_target(rng, kind, bounds_of(limits, j), t * h, memory[j]);
      if (rng.one_in(60)) enforcer.set_limits(tightened(rng, limits));
      if (rng.one_in(200) && start()) {
        close();
        judge.reset(enforcer.position());
        kind = rng.below(10);
        unjudged = 3;
      }
      if (rng.one_in(100)) stopping = rng.one_in(3) ? 100 : 1;
      if (stopping-- > 0)
        enforcer.stop();
      else
        enforcer.apply({target.data(), n}, {}, report);
      judge.add(enforcer.position());
      if (unjudged > 0 && --unjudged == 0) judge.forgive();
      for (const double fraction : {0.25, 0.5, 0.75, 1.0}) {
        enforcer.sample_last_tick(fraction, {q.data(), n}, {v.data(), n}, {a.data(), n});
        const double clear = arm.clearance(q);
        if (!(clear >= 0)) ++tally.violations;
        tally.worst_position = std::max(tally.worst_position, -clear);
      }
      for (std::size_t j = 0; j < n; ++j) tally.altered += (report.causes[j] & kBlocked) != 0 ? 1 : 0;
      tally.joint_ticks += limits.num_joints;
    }
    close();
  }
  return tally;
}

}  // namespace vla_rt::adversary
