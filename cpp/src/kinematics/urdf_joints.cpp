#include "vla_rt/kinematics/urdf_joints.hpp"

#include <algorithm>

#include "kinematics/urdf.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

std::vector<UrdfJoint> read_urdf_joints(const std::string& path) {
  const urdf::Robot robot = urdf::read(urdf::read_text(path), path);
  std::vector<UrdfJoint> joints;
  std::vector<std::string> open;
  for (auto link = robot.links.rbegin(); link != robot.links.rend(); ++link)
    if (!robot.parent_joint.contains(*link)) open.push_back(*link);
  while (!open.empty()) {
    const std::string parent = open.back();
    open.pop_back();
    const std::size_t above = open.size();
    for (const urdf::Joint& joint : robot.joints) {
      if (joint.parent != parent) continue;
      open.push_back(joint.child);
      if (joint.type == urdf::JointType::Fixed) continue;
      if (joint.type == urdf::JointType::Other)
        throw ConfigError("joint " + joint.name, joint.type_name,
                          "must be fixed, revolute, continuous or prismatic; name a tip to leave it out");
      joints.push_back({joint.name, joint.mimic, joint.type == urdf::JointType::Continuous, joint.lower,
                        joint.upper, joint.velocity, joint.acceleration, joint.jerk});
    }
    std::reverse(open.begin() + static_cast<std::ptrdiff_t>(above), open.end());
  }
  return joints;
}

}  // namespace vla_rt
