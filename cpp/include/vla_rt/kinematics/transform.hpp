#pragma once
#include <array>

namespace vla_rt {

using Vector3 = std::array<double, 3>;

/// A rigid transform: x -> rotation x + translation. Rotation row-major, orthonormal; translation [m].
struct Transform {
  std::array<double, 9> rotation{1, 0, 0, 0, 1, 0, 0, 0, 1};
  Vector3 translation{};
};

[[nodiscard]] constexpr Vector3 rotate(const std::array<double, 9>& r, const Vector3& v) noexcept {
  return {r[0] * v[0] + r[1] * v[1] + r[2] * v[2], r[3] * v[0] + r[4] * v[1] + r[5] * v[2],
          r[6] * v[0] + r[7] * v[1] + r[8] * v[2]};
}

/// The point `v` of the inner frame, seen from the outer one.
[[nodiscard]] constexpr Vector3 apply(const Transform& t, const Vector3& v) noexcept {
  const Vector3 r = rotate(t.rotation, v);
  return {r[0] + t.translation[0], r[1] + t.translation[1], r[2] + t.translation[2]};
}

/// First b, then a.
[[nodiscard]] constexpr Transform compose(const Transform& a, const Transform& b) noexcept {
  Transform c;
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < 3; ++k) sum += a.rotation[3 * i + k] * b.rotation[3 * k + j];
      c.rotation[3 * i + j] = sum;
    }
  c.translation = apply(a, b.translation);
  return c;
}

[[nodiscard]] constexpr Vector3 cross(const Vector3& a, const Vector3& b) noexcept {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

}  // namespace vla_rt
