#pragma once
#include <array>
#include <cstdint>
#include <limits>

#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/status.hpp"

namespace vla_rt {

/// Why a wish was changed, as bits of a mask.
enum class Cause : std::uint32_t {
  Position = 1,
  Velocity = 2,
  Acceleration = 4,
  Jerk = 8,
  Workspace = 16,
  Collision = 32,
  NonFinite = 64,
};

inline constexpr std::array kCauses = {Cause::Position,  Cause::Velocity,  Cause::Acceleration, Cause::Jerk,
                                       Cause::Workspace, Cause::Collision, Cause::NonFinite};

/// Lower-case name: "position", "velocity", "acceleration", "jerk", "workspace", "collision", "non_finite".
[[nodiscard]] constexpr const char* to_string(Cause cause) noexcept {
  switch (cause) {
    case Cause::Position:
      return "position";
    case Cause::Velocity:
      return "velocity";
    case Cause::Acceleration:
      return "acceleration";
    case Cause::Jerk:
      return "jerk";
    case Cause::Workspace:
      return "workspace";
    case Cause::Collision:
      return "collision";
    case Cause::NonFinite:
      return "non_finite";
  }
  return "unknown";
}

/// What one `apply` did. Plain data, fixed size; entries from N on are not written.
struct EnforcerReport {
  Status status = Status::Ok;                        ///< Ok, Limited, NonFinite or Fault
  std::array<std::uint8_t, kMaxActionDim> causes{};  ///< mask of `Cause` per joint
  JointArray deviation{};              ///< target (the held one if not finite) minus command [rad]
  JointArray position_distance{};      ///< from the command to the nearer position limit [rad], >= 0
  JointArray velocity_distance{};      ///< what the command's velocity leaves [rad/s], >= 0
  JointArray acceleration_distance{};  ///< [rad/s^2], >= 0
  JointArray jerk_distance{};          ///< what the tick's mean jerk leaves [rad/s^3], >= 0
  /// At the command: from the nearest point to the nearest wall of its workspace [m]; infinite without one.
  /// To a cone: 1 m (cos tilt - cos max_angle).
  double workspace_distance = std::numeric_limits<double>::infinity();
  /// At the command: smallest distance between any two things that must not touch [m]; infinite without any.
  double clearance = std::numeric_limits<double>::infinity();
};

/// A wish that could not be granted, written when its cause begins to act on the joint.
struct WishLogEntry {
  std::int32_t joint = 0;
  Cause cause = Cause::Position;
  /// Of a rate: what reaching the target in this tick would take; of all others: the target.
  double wanted = 0;
  double given = 0;   ///< the same quantity of the command
  double time_s = 0;  ///< nominal time of the command since `reset`
};

}  // namespace vla_rt
