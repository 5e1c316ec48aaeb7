#pragma once
// Arms, surroundings and states drawn at random, for property tests of workspace and collision.

#include <sstream>
#include <string>
#include <vector>

#include "constraints/adversary.hpp"
#include "constraints/vector3.hpp"
#include "vla_rt/constraints/collision_model.hpp"
#include "vla_rt/constraints/workspace.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace vla_rt::adversary {

inline Vector3 random_point(Rng& rng, double reach) {
  return {rng.uniform(-reach, reach), rng.uniform(-reach, reach), rng.uniform(-reach, reach)};
}

inline std::string link_name(int k) {
  std::ostringstream name;
  name << 'l' << k;
  return name.str();
}

/// n joints; link k hangs on joint k.
inline Kinematics make_chain(int n, const auto& describe_joint) {
  std::ostringstream urdf;
  urdf << "<robot name='r'><link name='l0'/>";
  for (int j = 1; j <= n; ++j) {
    urdf << "<link name='l" << j << "'/><joint name='j" << j << "' ";
    describe_joint(urdf);
    urdf << "<parent link='l" << j - 1 << "'/><child link='l" << j
         << "'/><limit lower='-2' upper='2' velocity='3'/></joint>";
  }
  urdf << "</robot>";
  return Kinematics::from_urdf_text(urdf.str(), link_name(n));
}

/// Joints in random directions, one in four sliding.
inline Kinematics random_chain(Rng& rng, int n) {
  return make_chain(n, [&](std::ostream& out) {
    const auto write = [&](const char* name, const Vector3& v) {
      out << name << "='" << v[0] << ' ' << v[1] << ' ' << v[2] << "' ";
    };
    Vector3 axis = random_point(rng, 1);
    while (norm(axis) < 0.1) axis = random_point(rng, 1);
    out << "type='" << (rng.one_in(4) ? "prismatic" : "revolute") << "'><origin ";
    write("xyz", random_point(rng, 0.4));
    write("rpy", random_point(rng, 3));
    out << "/><axis ";
    write("xyz", axis);
    out << "/>";
  });
}

/// Links of 0.3 m in a plane, straight at zero: no point of an arm is farther from its axes.
inline Kinematics straight_chain(int n) {
  return make_chain(
      n, [](std::ostream& out) { out << "type='revolute'><origin xyz='0.3 0 0'/><axis xyz='0 0 1'/>"; });
}

inline JointLimits chain_limits(Rng& rng, const Kinematics& chain) {
  JointLimits limits = random_limits(rng, chain.num_joints());
  for (std::size_t j = 0; j < static_cast<std::size_t>(chain.num_joints()); ++j) {
    const double half = chain.joint(static_cast<int>(j)).prismatic ? 0.3 : 2.8;
    limits.min_position[j] = -half;
    limits.max_position[j] = half;
    limits.max_acceleration[j] = rng.log_uniform(5, 50);
    limits.max_jerk[j] = rng.log_uniform(500, 20000);
  }
  return limits;
}

struct RandomWorld {
  std::vector<Workspace> workspaces;
  CollisionShapes shapes;
};

/// A capsule per link and something of everything around the arm.
inline RandomWorld random_world(Rng& rng, const Kinematics& chain) {
  RandomWorld world;
  for (int j = 0; j <= chain.num_joints(); ++j)
    world.shapes.capsules.push_back({.start = random_point(rng, 0.15),
                                     .end = random_point(rng, 0.15),
                                     .radius = rng.uniform(0, 0.05),
                                     .link = link_name(j)});
  const Vector3 centre = random_point(rng, 0.8);
  world.shapes.world_capsules.push_back(
      {.start = centre, .end = rng.one_in(2) ? centre : random_point(rng, 0.8), .radius = 0.02, .link = {}});
  WorldBox box{.pose = {}, .half_size = {0.01, 0.3, 0.2}};  // thin
  const double angle = rng.uniform(0, 3);
  box.pose.rotation = {std::cos(angle), -std::sin(angle), 0, std::sin(angle), std::cos(angle), 0, 0, 0, 1};
  box.pose.translation = random_point(rng, 0.8);
  world.shapes.world_boxes.push_back(box);
  world.shapes.world_half_spaces.push_back({.normal = random_point(rng, 1), .offset = -0.7});
  Workspace tool;
  tool.lower = {-1, -1, -1};
  tool.upper = {0.8, 0.9, 1};
  tool.offset = random_point(rng, 0.2);
  tool.half_spaces.push_back({.normal = {1, 1, 0}, .offset = 1});
  Workspace elbow;
  elbow.link = link_name(1 + chain.num_joints() / 2);
  elbow.lower[2] = -0.7;
  if (rng.one_in(2))
    tool.cone = OrientationCone{
        .max_angle = rng.uniform(0.5, 2.8), .axis = random_point(rng, 1), .direction = random_point(rng, 1)};
  world.workspaces = {tool, elbow};
  return world;
}

}  // namespace vla_rt::adversary
