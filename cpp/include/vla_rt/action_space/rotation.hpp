#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

// GCC 12 takes an enumerator of an enum class for one that hides the type of that name (kinematics/pose.hpp).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
/// The ways a rotation is written. Conventions hold everywhere in the library.
enum class RotationFormat : std::uint8_t {
  Matrix,      ///< 9 numbers, row-major 3x3, rotates column vectors
  Quaternion,  ///< 4 numbers x, y, z, w (scipy's order); any length > 0 is accepted and normalised
  EulerXyz,    ///< roll, pitch, yaw [rad] about the fixed axes x, then y, then z (scipy's lower-case 'xyz')
  RotationVector,  ///< axis times angle [rad]
  Rotation6d,      ///< first two columns of the matrix, one after the other; orthonormalised by Gram-Schmidt
};
#pragma GCC diagnostic pop

/// "matrix", "quaternion", "euler", "rotation_vector", "rotation_6d".
[[nodiscard]] VLA_RT_API const char* to_string(RotationFormat format) noexcept;
/// Throws ConfigError naming `field` and the accepted texts for any other text.
[[nodiscard]] VLA_RT_API RotationFormat rotation_format_from_string(const std::string& text,
                                                                    const std::string& field);
/// How many numbers one rotation takes: 9, 4, 3, 3, 6.
[[nodiscard]] VLA_RT_API std::size_t size_of(RotationFormat format) noexcept;

using Vector3 = std::array<double, 3>;
using Quaternion = std::array<double, 4>;  ///< x, y, z, w
using Matrix3 = std::array<double, 9>;     ///< row-major

/// A unit quaternion from any format, with w >= 0 (where w is 0: the first of x, y, z that is not 0 is
/// positive), so that one rotation has one quaternion and angles lie in [0, pi].
///
/// Throws ConfigError naming `name`[i] when a number is not finite, a quaternion is zero, the two columns of
/// a 6D form are zero or parallel, or a matrix is no rotation (off by more than 1e-5).
[[nodiscard]] VLA_RT_API Quaternion to_quaternion(RotationFormat format, std::span<const double> rotation,
                                                  const std::string& name);

/// Writes a unit quaternion in any format; `rotation` holds size_of(format) numbers.
///
/// Euler angles lie in [-pi, pi], the pitch in [-pi/2, pi/2]; within 1e-7 of gimbal lock (pitch = +-pi/2) the
/// yaw is 0. Real-time: no allocation, wait-free.
VLA_RT_API void from_quaternion(const Quaternion& q, RotationFormat format,
                                std::span<double> rotation) noexcept;

/// Converts n rotations, one after the other: `in` holds n*size_of(from) numbers, `out` n*size_of(to).
/// Throws ConfigError as `to_quaternion` (index i counts through `in`), or when the sizes do not fit; `out`
/// is then incomplete.
///
/// Methods: Shepperd 1978 (matrix to quaternion); Bernardes and Viollet 2022 (quaternion to Euler angles);
/// Zhou et al. 2019, "On the Continuity of Rotation Representations in Neural Networks" (6D).
VLA_RT_API void convert_rotations(RotationFormat from, RotationFormat to, std::span<const double> in,
                                  std::span<double> out, const std::string& name = "rotations");

}  // namespace vla_rt
