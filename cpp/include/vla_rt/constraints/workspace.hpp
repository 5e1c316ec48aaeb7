#pragma once
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/kinematics/transform.hpp"

namespace vla_rt {

/// All points x of the base frame with normal . x <= offset.
struct HalfSpace {
  Vector3 normal{0, 0, 1};  ///< need not be unit; `offset` is in its length
  double offset = 0;        ///< [m] for a unit normal
};

/// How far an axis of a link may be tilted.
struct OrientationCone {
  static constexpr double kLeastAngle = 0.05, kMostAngle = 3.1;

  double max_angle = 0;         ///< [rad] between the two, in [kLeastAngle, kMostAngle]
  Vector3 axis{0, 0, 1};        ///< in the link's frame; need not be unit
  Vector3 direction{0, 0, -1};  ///< in the base frame; need not be unit
};

/// Where one point of the robot may be: in a box and in half-spaces, all in the base frame; and how its link
/// may be tilted there.
/// Thread: plain data.
struct VLA_RT_API Workspace {
  static constexpr double kOpen = std::numeric_limits<double>::infinity();

  Vector3 lower{-kOpen, -kOpen, -kOpen};  ///< [m]; -infinity: open
  Vector3 upper{kOpen, kOpen, kOpen};     ///< [m]; +infinity: open
  std::string link;                       ///< the link that carries the point; empty: the tip
  Vector3 offset{};                       ///< the point in the link's frame [m]
  std::vector<HalfSpace> half_spaces;
  std::optional<OrientationCone> cone{};

  /// Throws ConfigError naming the field for NaN, lower >= upper, a zero normal, a bad
  /// cone, or no wall at all.
  void validate() const;
};

}  // namespace vla_rt
