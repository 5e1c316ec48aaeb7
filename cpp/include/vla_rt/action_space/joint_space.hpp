#pragma once
#include <span>

#include "vla_rt/action_space/bounded_action_space.hpp"

namespace vla_rt {

/// Joint positions [rad] or [m], D = N joints.
class VLA_RT_API JointPositionSpace final : public BoundedActionSpace {
 public:
  JointPositionSpace(std::span<const double> lower, std::span<const double> upper);
};

/// Joint velocities [rad/s] or [m/s] within +-max_velocity (> 0), D = N joints.
class VLA_RT_API JointVelocitySpace final : public BoundedActionSpace {
 public:
  explicit JointVelocitySpace(std::span<const double> max_velocity);
};

}  // namespace vla_rt
