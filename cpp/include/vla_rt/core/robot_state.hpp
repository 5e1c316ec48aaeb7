#pragma once
#include <cstdint>

#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {

/// What the driver measured. Plain data: copied through mailboxes and rings.
struct RobotState {
  TimeNs time_ns = 0;           ///< when it was measured (steady clock)
  std::uint64_t sequence = 0;   ///< counts the driver's cycles
  std::int32_t num_joints = 0;  ///< N
  JointArray position{};        ///< [rad] or [m]
  JointArray velocity{};        ///< [rad/s] or [m/s]
};

}  // namespace vla_rt
