#pragma once
#include <cmath>

#include "vla_rt/kinematics/transform.hpp"

namespace vla_rt::constraints {

[[nodiscard]] constexpr double dot(const Vector3& a, const Vector3& b) noexcept {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
[[nodiscard]] constexpr Vector3 minus(const Vector3& a, const Vector3& b) noexcept {
  return {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
}
/// a + s b.
[[nodiscard]] constexpr Vector3 along(const Vector3& a, double s, const Vector3& b) noexcept {
  return {a[0] + s * b[0], a[1] + s * b[1], a[2] + s * b[2]};
}
[[nodiscard]] inline double norm(const Vector3& a) noexcept { return std::sqrt(dot(a, a)); }

/// The vector of the outer frame, seen from the inner one: R^T v.
[[nodiscard]] constexpr Vector3 rotate_back(const std::array<double, 9>& r, const Vector3& v) noexcept {
  return {r[0] * v[0] + r[3] * v[1] + r[6] * v[2], r[1] * v[0] + r[4] * v[1] + r[7] * v[2],
          r[2] * v[0] + r[5] * v[1] + r[8] * v[2]};
}
/// The point of the outer frame, seen from the inner one.
[[nodiscard]] constexpr Vector3 apply_back(const Transform& t, const Vector3& p) noexcept {
  return rotate_back(t.rotation, minus(p, t.translation));
}

}  // namespace vla_rt::constraints
