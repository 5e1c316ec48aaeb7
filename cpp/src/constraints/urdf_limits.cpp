#include <cmath>
#include <string>
#include <vector>

#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/kinematics/kinematics.hpp"
#include "vla_rt/kinematics/urdf_joints.hpp"

namespace vla_rt {
namespace {

std::vector<UrdfJoint> joints_of_chain(const std::string& path, const UrdfLimits& options,
                                       std::vector<std::string>& warnings) {
  const Kinematics chain = Kinematics::from_urdf(path, options.tip, options.base);
  warnings = chain.warnings();
  std::vector<UrdfJoint> joints;
  for (std::size_t j = 0; j < chain.joint_names().size(); ++j) {
    const KinematicLimits& l = chain.limits();
    joints.push_back({chain.joint_names()[j], false, std::isinf(l.max_position[j]), l.min_position[j],
                      l.max_position[j], l.max_velocity[j], l.max_acceleration[j], l.max_jerk[j]});
  }
  return joints;
}

std::vector<UrdfJoint> joints_of_robot(const std::string& path, const UrdfLimits& options,
                                       std::vector<std::string>& warnings) {
  if (!options.base.empty()) throw ConfigError("base", options.base, "takes a tip");
  std::vector<UrdfJoint> joints;
  for (UrdfJoint& joint : read_urdf_joints(path)) {
    if (joint.mimic)
      warnings.push_back("joint " + joint.name + " mimics another one and is left out");
    else
      joints.push_back(std::move(joint));
  }
  if (joints.empty() || joints.size() > kMaxActionDim)
    throw ConfigError(path, std::to_string(joints.size()) + " movable joints",
                      "must have 1.." + std::to_string(kMaxActionDim) + "; name a tip to take one chain");
  return joints;
}

// What was given for joint j, `described` where nothing was.
double chosen(const char* name, const std::vector<double>& given, std::size_t j, std::size_t count,
              double described) {
  if (given.empty()) return described;
  if (given.size() != 1 && given.size() != count)
    throw ConfigError(name, std::to_string(given.size()) + " numbers",
                      "must be one for all joints or " + std::to_string(count));
  const double value = given[given.size() == 1 ? 0 : j];
  if (!(value >= JointLimits::kMinRate && value <= JointLimits::kMaxRate))
    throw ConfigError(given.size() == 1 ? std::string(name) : indexed(name, static_cast<long>(j)),
                      number(value), "must be finite and > 0");
  return value;
}

double required_rate(const UrdfJoint& joint, const char* name, double value) {
  const std::string field = "joint " + joint.name + " " + name;
  if (std::isinf(value)) throw ConfigError(field, "", "is missing in the URDF; give it as an argument");
  if (!(value >= JointLimits::kMinRate && value <= JointLimits::kMaxRate))
    throw ConfigError(field, number(value), "must be > 0; give it as an argument");
  return value;
}

}  // namespace

JointLimits JointLimits::from_urdf(const std::string& path, const UrdfLimits& options,
                                   std::vector<std::string>* warnings) {
  std::vector<std::string> left_out;
  const std::vector<UrdfJoint> joints = options.tip.empty() ? joints_of_robot(path, options, left_out)
                                                            : joints_of_chain(path, options, left_out);
  JointLimits limits;
  limits.num_joints = static_cast<std::int32_t>(joints.size());
  for (std::size_t j = 0; j < joints.size(); ++j) {
    const UrdfJoint& joint = joints[j];
    limits.min_position[j] = joint.continuous ? -kMaxPosition : joint.min_position;
    limits.max_position[j] = joint.continuous ? kMaxPosition : joint.max_position;
    if (!(limits.min_position[j] < limits.max_position[j]))
      throw ConfigError("joint " + joint.name + " lower", number(limits.min_position[j]),
                        "must be below upper = " + number(limits.max_position[j]) +
                            "; the URDF leaves them out or fixes the joint");
    const auto rate = [&](const char* name, const std::vector<double>& given, double described) {
      return required_rate(joint, name, chosen(name, given, j, joints.size(), described));
    };
    const auto or_else = [](double described, double fallback) {
      return std::isinf(described) ? fallback : described;
    };
    limits.max_velocity[j] = rate("max_velocity", options.max_velocity, joint.max_velocity);
    limits.max_acceleration[j] =
        rate("max_acceleration", options.max_acceleration,
             or_else(joint.max_acceleration, UrdfLimits::kAccelerationPerVelocity * limits.max_velocity[j]));
    limits.max_jerk[j] =
        rate("max_jerk", options.max_jerk,
             or_else(joint.max_jerk, UrdfLimits::kJerkPerAcceleration * limits.max_acceleration[j]));
  }
  limits.validate();
  if (warnings != nullptr) *warnings = std::move(left_out);
  return limits;
}

}  // namespace vla_rt
