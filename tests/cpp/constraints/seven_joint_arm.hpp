#pragma once
#include <string>

#include "vla_rt/kinematics/kinematics.hpp"

namespace vla_rt::testing {

/// An arm of seven turning joints, about z and y in turns, 0.2 m apart, with a tool at its end.
inline Kinematics seven_joint_arm() {
  std::string text = R"(<robot name="arm"><link name="link0"/>)";
  for (int i = 1; i <= 7; ++i) {
    const std::string link = "link" + std::to_string(i), parent = "link" + std::to_string(i - 1);
    text += "<link name=\"" + link + "\"/><joint name=\"joint" + std::to_string(i) +
            "\" type=\"revolute\"><parent link=\"" + parent + "\"/><child link=\"" + link +
            "\"/><origin xyz=\"0.02 0 0.2\"/><axis xyz=\"" + (i % 2 == 1 ? "0 0 1" : "0 1 0") +
            "\"/><limit lower=\"-2.7\" upper=\"2.7\" velocity=\"2.62\"/></joint>";
  }
  text += R"(<link name="tool"/><joint name="mount" type="fixed"><parent link="link7"/><child link="tool"/>)"
          R"(<origin xyz="0.05 0 0.1"/></joint></robot>)";
  return Kinematics::from_urdf_text(text, "tool");
}

}  // namespace vla_rt::testing
