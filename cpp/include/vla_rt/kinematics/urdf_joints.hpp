#pragma once
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// A movable joint of a URDF and its limits; what the file leaves open is infinite.
struct UrdfJoint {
  std::string name;
  bool mimic = false;  ///< follows another joint
  bool continuous = false;
  double min_position = 0, max_position = 0;  ///< [rad] or [m]
  double max_velocity = 0;                    ///< [rad/s] or [m/s]
  double max_acceleration = 0, max_jerk = 0;  ///< [rad/s^2], [rad/s^3]: extensions that some files have
};

/// All movable joints of a URDF file, parents before children, siblings as in the file. Throws FormatError as
/// Kinematics::from_urdf; ConfigError for joints that are not fixed, revolute, continuous or prismatic.
[[nodiscard]] VLA_RT_API std::vector<UrdfJoint> read_urdf_joints(const std::string& path);

}  // namespace vla_rt
