#pragma once
#include <string>
#include <vector>

#include "vla_rt/kinematics/transform.hpp"

namespace vla_rt::constraints {

/// Where a mesh that a robot description names is: `package://` is searched for in the folders above the
/// description, other names count from its folder. Empty when there is no such file. Set-up.
[[nodiscard]] std::string find_mesh(const std::string& name, const std::string& description);

/// The distinct corners of an STL file, binary or text. Throws FormatError naming the file. Set-up.
[[nodiscard]] std::vector<Vector3> read_stl(const std::string& path);

}  // namespace vla_rt::constraints
