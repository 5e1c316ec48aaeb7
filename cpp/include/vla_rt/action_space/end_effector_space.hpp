#pragma once
#include <span>

#include "vla_rt/action_space/bounded_action_space.hpp"

namespace vla_rt {

/// Absolute pose of the tool: position x, y, z [m] and quaternion x, y, z, w; D = 7. With bounds of 8 numbers
/// the last one is the gripper, 0 open .. 1 closed; D = 8.
///
/// The map to [-1, 1] is linear in every number and leaves a quaternion with the default bounds as it is;
/// `to_transform` normalises it.
class VLA_RT_API EndEffectorPoseSpace final : public BoundedActionSpace {
 public:
  /// Bounds of the position (3 numbers; the quaternion's are then +-1), of all 7, or of those and the
  /// gripper.
  EndEffectorPoseSpace(std::span<const double> lower, std::span<const double> upper);

  /// Poses (..., D) to homogeneous transforms (..., 4, 4). Throws ConfigError naming "actions[i]" when a
  /// number is not finite or a quaternion is zero.
  void to_transform(std::span<const double> actions, std::span<double> transforms) const;
};

/// A small motion of the tool: dx, dy, dz [m], droll, dpitch, dyaw [rad] (fixed axes x, y, z; scipy's 'xyz')
/// and the gripper, 0 open .. 1 closed; D = 7.
class VLA_RT_API EndEffectorDeltaSpace final : public BoundedActionSpace {
 public:
  /// Bounds per axis: +-max_translation [m], +-max_rotation [rad], both finite and > 0.
  explicit EndEffectorDeltaSpace(double max_translation = 0.05, double max_rotation = 0.1);

  [[nodiscard]] double max_translation() const noexcept { return upper()[0]; }
  [[nodiscard]] double max_rotation() const noexcept { return upper()[3]; }

  /// Raw actions of `width` numbers each, 7 or 6 (without gripper), to homogeneous transforms (..., 4, 4).
  /// Nothing is clipped. Throws ConfigError naming "actions[i]" when a number is not finite.
  void to_transform(std::span<const double> actions, std::span<double> transforms, int width = 7) const;
};

}  // namespace vla_rt
