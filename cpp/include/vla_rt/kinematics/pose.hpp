#pragma once
#include <array>
#include <cstdint>

#include "vla_rt/core/api.hpp"
#include "vla_rt/kinematics/transform.hpp"

namespace vla_rt {

using Quaternion = std::array<double, 4>;  ///< x, y, z, w

/// Where a tool is: position [m] and orientation, a unit quaternion; q and -q are the same orientation.
struct Pose {
  Vector3 position{};
  Quaternion rotation{0, 0, 0, 1};
};

/// How it moves: linear [m/s] and angular [rad/s] velocity, both along the axes of the base frame.
struct Twist {
  Vector3 linear{}, angular{};
};

/// Whose axes a delta is given in.
enum class DeltaFrame : std::uint8_t {
  Base,  ///< translation along, rotation about the axes of the base; the tool turns about its own origin
  Tool,  ///< both about the axes the tool has before the delta: pose * delta
};
/// "base", "tool".
[[nodiscard]] VLA_RT_API const char* to_string(DeltaFrame frame) noexcept;

// All of them: real-time, wait-free, no allocation.

/// How far a quaternion's length may be from 1 (numbers of a float32 network, rounded text).
inline constexpr double kUnitTolerance = 1e-3;
/// Coordinates [m] and velocities [m/s], [rad/s] beyond this are taken for broken numbers.
inline constexpr double kMaxCoordinate = 1e6;

/// True when all 7 numbers are finite, no coordinate exceeds kMaxCoordinate and the quaternion is of length 1
/// within kUnitTolerance.
[[nodiscard]] VLA_RT_API bool is_valid(const Pose& pose) noexcept VLA_RT_NONBLOCKING;
/// True when all 6 numbers are finite and none exceeds kMaxCoordinate.
[[nodiscard]] VLA_RT_API bool is_valid(const Twist& twist) noexcept VLA_RT_NONBLOCKING;
/// The quaternion scaled to length 1; (0, 0, 0, 1) for one of length 0.
[[nodiscard]] VLA_RT_API Quaternion normalized(const Quaternion& q) noexcept VLA_RT_NONBLOCKING;

/// The pose of a transform, with w >= 0 (Shepperd 1978).
[[nodiscard]] VLA_RT_API Pose to_pose(const Transform& t) noexcept VLA_RT_NONBLOCKING;
/// The same rotation as a matrix; takes a quaternion of any length > 0.
[[nodiscard]] VLA_RT_API Transform to_transform(const Pose& pose) noexcept VLA_RT_NONBLOCKING;

/// Hamilton product: first b, then a.
[[nodiscard]] VLA_RT_API Quaternion multiply(const Quaternion& a,
                                             const Quaternion& b) noexcept VLA_RT_NONBLOCKING;
/// The rotation by |v| [rad] about v (exponential map).
[[nodiscard]] VLA_RT_API Quaternion rotation_by(const Vector3& v) noexcept VLA_RT_NONBLOCKING;
/// The shortest rotation that turns `from` into `to`, as a vector [rad] in the base frame, at most pi long
/// (logarithm; the double cover does not matter).
[[nodiscard]] VLA_RT_API Vector3 rotation_between(const Quaternion& from,
                                                  const Quaternion& to) noexcept VLA_RT_NONBLOCKING;

/// The pose after a delta as `EndEffectorDeltaSpace` holds it: translation [m], then roll, pitch, yaw [rad]
/// about fixed axes x, y, z. The rotation is applied as one rotation, whatever its size.
[[nodiscard]] VLA_RT_API Pose moved(const Pose& pose, const Vector3& translation, const Vector3& euler_xyz,
                                    DeltaFrame frame) noexcept VLA_RT_NONBLOCKING;

}  // namespace vla_rt
