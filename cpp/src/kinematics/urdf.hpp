#pragma once
#include <map>
#include <string>
#include <vector>

#include "kinematics/xml.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace vla_rt::urdf {

enum class JointType { Fixed, Revolute, Continuous, Prismatic, Other };

struct Joint {
  std::string name, type_name, parent, child;
  JointType type = JointType::Fixed;
  Transform origin;
  Vector3 axis{1, 0, 0};
  double lower = 0, upper = 0, velocity = 0, acceleration = 0, jerk = 0;  // infinite where left open
  bool mimic = false;
};

struct Geometry {
  std::string link;
  LinkGeometry shape;  // its link index is not set yet
};

/// What a URDF says, checked for form: names exist and are unique, numbers are finite, no link has two
/// parents, no cycles.
struct Robot {
  std::vector<std::string> links;
  std::vector<Joint> joints;
  std::vector<Geometry> geometry;
  std::map<std::string, std::size_t> parent_joint;  // by child link
};

/// The text of a file. Throws FormatError when it cannot be read.
[[nodiscard]] std::string read_text(const std::string& path);
/// Throws FormatError.
[[nodiscard]] Robot read(const std::string& text, const std::string& name);

}  // namespace vla_rt::urdf
