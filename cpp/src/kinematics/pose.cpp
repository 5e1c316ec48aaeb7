#include "vla_rt/kinematics/pose.hpp"

#include <algorithm>
#include <cmath>

namespace vla_rt {
namespace {

double length_of(const Quaternion& q) noexcept {
  return std::sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
}

// False for NaN.
bool all_usable(const Vector3& v) noexcept {
  return std::ranges::all_of(v, [](double x) { return std::abs(x) <= kMaxCoordinate; });
}

Quaternion about_axis(std::size_t axis, double angle) noexcept {
  Quaternion q{0, 0, 0, std::cos(angle / 2)};
  q[axis] = std::sin(angle / 2);
  return q;
}

}  // namespace

const char* to_string(DeltaFrame frame) noexcept { return frame == DeltaFrame::Base ? "base" : "tool"; }

bool is_valid(const Pose& pose) noexcept VLA_RT_NONBLOCKING {
  return std::abs(length_of(pose.rotation) - 1) <= kUnitTolerance && all_usable(pose.position);
}

bool is_valid(const Twist& twist) noexcept VLA_RT_NONBLOCKING {
  return all_usable(twist.linear) && all_usable(twist.angular);
}

Quaternion normalized(const Quaternion& q) noexcept VLA_RT_NONBLOCKING {
  const double length = length_of(q);
  if (length == 0) return {0, 0, 0, 1};  // NaN stays NaN
  return {q[0] / length, q[1] / length, q[2] / length, q[3] / length};
}

Pose to_pose(const Transform& t) noexcept VLA_RT_NONBLOCKING {
  const auto& m = t.rotation;
  const double trace = m[0] + m[4] + m[8];
  Quaternion q{m[7] - m[5], m[2] - m[6], m[3] - m[1], 1 + trace};
  // From the largest of the four squared components, which is at least 1/4.
  const std::array<double, 4> choice{m[0], m[4], m[8], trace};
  const auto i = static_cast<std::size_t>(std::ranges::max_element(choice) - choice.begin());
  if (i < 3) {
    const std::size_t j = (i + 1) % 3, k = (i + 2) % 3;
    q[i] = 1 - trace + 2 * m[4 * i];
    q[j] = m[3 * j + i] + m[3 * i + j];
    q[k] = m[3 * k + i] + m[3 * i + k];
    q[3] = m[3 * k + j] - m[3 * j + k];
  }
  q = normalized(q);
  if (q[3] < 0)
    for (double& x : q) x = -x;
  return {t.translation, q};
}

Transform to_transform(const Pose& pose) noexcept VLA_RT_NONBLOCKING {
  const auto [x, y, z, w] = normalized(pose.rotation);
  return {{1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),  //
           2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),  //
           2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)},
          pose.position};
}

Quaternion multiply(const Quaternion& a, const Quaternion& b) noexcept VLA_RT_NONBLOCKING {
  return {a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1],
          a[3] * b[1] - a[0] * b[2] + a[1] * b[3] + a[2] * b[0],
          a[3] * b[2] + a[0] * b[1] - a[1] * b[0] + a[2] * b[3],
          a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2]};
}

Quaternion rotation_by(const Vector3& v) noexcept VLA_RT_NONBLOCKING {
  const double angle = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
  // sin(a/2)/a; its series is exact to rounding below 1e-3.
  const double scale = angle < 1e-3 ? 0.5 - angle * angle / 48 : std::sin(angle / 2) / angle;
  return {v[0] * scale, v[1] * scale, v[2] * scale, std::cos(angle / 2)};
}

Vector3 rotation_between(const Quaternion& from, const Quaternion& to) noexcept VLA_RT_NONBLOCKING {
  Quaternion d = multiply(to, {-from[0], -from[1], -from[2], from[3]});
  if (d[3] < 0)
    for (double& x : d) x = -x;
  const double sine = std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
  const double angle = 2 * std::atan2(sine, d[3]);
  // a/sin(a/2); its series is exact to rounding below 1e-3.
  const double scale = angle < 1e-3 ? 2 + angle * angle / 12 : angle / sine;
  return {d[0] * scale, d[1] * scale, d[2] * scale};
}

Pose moved(const Pose& pose, const Vector3& translation, const Vector3& euler_xyz,
           DeltaFrame frame) noexcept VLA_RT_NONBLOCKING {
  const Quaternion turn = multiply(about_axis(2, euler_xyz[2]),
                                   multiply(about_axis(1, euler_xyz[1]), about_axis(0, euler_xyz[0])));
  const bool base = frame == DeltaFrame::Base;
  const Vector3 step = base ? translation : rotate(to_transform(pose).rotation, translation);
  Pose next;
  for (std::size_t k = 0; k < 3; ++k) next.position[k] = pose.position[k] + step[k];
  next.rotation = normalized(base ? multiply(turn, pose.rotation) : multiply(pose.rotation, turn));
  return next;
}

}  // namespace vla_rt
