#pragma once
#include <string>

#include "constraints/segment_distance.hpp"
#include "vla_rt/constraints/collision_model.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace vla_rt::constraints {

struct HeldCapsule {
  Segment axis;
  double radius = 0;
};

/// A capsule that holds a link's capsule wherever the joints off the chain before it are within their limits:
/// in the frame of the chain's joint that carries them all. Each joint, the outermost first, takes the
/// capsule to the middle of its range and adds to the radius what its farther end may move from there; one
/// that turns far takes it to its axis instead. Throws ConfigError, of `name`, for a joint that slides
/// without limits or is neither revolute, continuous nor prismatic. Set-up.
[[nodiscard]] HeldCapsule hold_loose(const Kinematics& kinematics, const AttachedFrame& link,
                                     const Capsule& capsule, const std::string& name);

}  // namespace vla_rt::constraints
