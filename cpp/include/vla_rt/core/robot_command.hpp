#pragma once
#include <cstdint>

#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/status.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {

/// What the robot shall do next: always finite, always within the limits. Plain data.
struct RobotCommand {
  TimeNs time_ns = 0;           ///< the tick it was made for (steady clock)
  std::uint64_t sequence = 0;   ///< counts ticks
  std::int32_t num_joints = 0;  ///< N
  Status status = Status::Ok;
  JointArray position{};      ///< [rad] or [m]
  JointArray velocity{};      ///< [rad/s] or [m/s]
  JointArray acceleration{};  ///< [rad/s^2] or [m/s^2]
};

}  // namespace vla_rt
