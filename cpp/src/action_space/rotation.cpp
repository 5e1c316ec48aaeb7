#include "vla_rt/action_space/rotation.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr double kMatrixTolerance = 1e-5;
constexpr double kGimbalTolerance = 1e-7;
constexpr std::array kFormats = {RotationFormat::Matrix, RotationFormat::Quaternion, RotationFormat::EulerXyz,
                                 RotationFormat::RotationVector, RotationFormat::Rotation6d};

std::string at(const std::string& name, std::size_t i) { return indexed(name, static_cast<long>(i)); }

double dot(const Vector3& a, const Vector3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

Vector3 cross(const Vector3& a, const Vector3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

// Scaled by the largest entry first, so that no length under- or overflows. False for the zero vector.
template <std::size_t N>
bool make_unit(std::array<double, N>& v) {
  double largest = 0;
  for (const double x : v) largest = std::max(largest, std::abs(x));
  if (largest == 0) return false;
  double sum = 0;
  for (double& x : v) {
    x /= largest;
    sum += x * x;
  }
  const double length = std::sqrt(sum);
  for (double& x : v) x /= length;
  return true;
}

Quaternion canonical(Quaternion q) {
  make_unit(q);
  bool negative = q[3] < 0;
  if (q[3] == 0) {
    const auto* first = std::find_if(q.begin(), q.begin() + 3, [](double x) { return x != 0; });
    negative = first != q.begin() + 3 && *first < 0;
  }
  if (negative)
    for (double& x : q) x = -x;
  return q;
}

Quaternion from_matrix(const Matrix3& m) {
  // Shepperd: start from the largest of the four squared components, which is at least 1/4.
  const double trace = m[0] + m[4] + m[8];
  const std::array<double, 4> choice = {m[0], m[4], m[8], trace};
  const auto k = static_cast<std::size_t>(std::max_element(choice.begin(), choice.end()) - choice.begin());
  Quaternion q{};
  if (k == 3) {
    q = {m[7] - m[5], m[2] - m[6], m[3] - m[1], 1 + trace};
  } else {
    const std::size_t i = k, j = (k + 1) % 3, l = (k + 2) % 3;
    q[i] = 1 - trace + 2 * m[i * 3 + i];
    q[j] = m[j * 3 + i] + m[i * 3 + j];
    q[l] = m[l * 3 + i] + m[i * 3 + l];
    q[3] = m[l * 3 + j] - m[j * 3 + l];
  }
  return canonical(q);
}

Quaternion from_checked_matrix(std::span<const double> r, const std::string& name) {
  Matrix3 m{};
  std::copy(r.begin(), r.end(), m.begin());
  const Vector3 x = {m[0], m[3], m[6]}, y = {m[1], m[4], m[7]}, z = {m[2], m[5], m[8]};
  const double error = std::max({std::abs(dot(x, x) - 1), std::abs(dot(y, y) - 1), std::abs(dot(z, z) - 1),
                                 std::abs(dot(x, y)), std::abs(dot(y, z)), std::abs(dot(z, x))});
  if (!(error <= kMatrixTolerance))
    throw ConfigError(name, "off by " + number(error), "must be a rotation matrix, orthonormal to 1e-5");
  if (dot(cross(x, y), z) < 0)
    throw ConfigError(name, "determinant -1", "must be a rotation matrix, not a reflection");
  return from_matrix(m);
}

Quaternion from_euler(double roll, double pitch, double yaw) {
  const double cr = std::cos(roll / 2), sr = std::sin(roll / 2), cp = std::cos(pitch / 2),
               sp = std::sin(pitch / 2), cy = std::cos(yaw / 2), sy = std::sin(yaw / 2);
  return canonical({sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy,
                    cr * cp * cy + sr * sp * sy});
}

Quaternion from_rotation_vector(std::span<const double> v) {
  const double angle = std::hypot(v[0], v[1], v[2]);
  // sin(a/2)/a; its series is exact to rounding below 1e-3.
  const double scale = angle < 1e-3 ? 0.5 - angle * angle / 48 : std::sin(angle / 2) / angle;
  return canonical({v[0] * scale, v[1] * scale, v[2] * scale, std::cos(angle / 2)});
}

Quaternion from_6d(std::span<const double> r, const std::string& name) {
  Vector3 x = {r[0], r[1], r[2]}, y = {r[3], r[4], r[5]};
  if (!make_unit(x) || !make_unit(y))
    throw ConfigError(name, "a zero column", "must hold two columns that are not zero");
  Vector3 z = cross(x, y);
  if (std::sqrt(dot(z, z)) < 1e-12)
    throw ConfigError(name, "two parallel columns", "must hold two independent columns");
  make_unit(z);
  y = cross(z, x);
  return from_matrix({x[0], y[0], z[0], x[1], y[1], z[1], x[2], y[2], z[2]});
}

Matrix3 matrix_of(const Quaternion& q) {
  const auto [x, y, z, w] = q;
  return {1 - 2 * (y * y + z * z), 2 * (x * y - z * w),     2 * (x * z + y * w),
          2 * (x * y + z * w),     1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
          2 * (x * z - y * w),     2 * (y * z + x * w),     1 - 2 * (x * x + y * y)};
}

double wrapped(double angle) {
  constexpr double kPi = std::numbers::pi;
  if (angle > kPi) return angle - 2 * kPi;
  if (angle < -kPi) return angle + 2 * kPi;
  return angle;
}

Vector3 euler_of(const Quaternion& q) {
  constexpr double kPi = std::numbers::pi;
  const auto [x, y, z, w] = q;
  const double a = w - y, b = x + z, c = y + w, d = z - x;
  const double middle = 2 * std::atan2(std::hypot(c, d), std::hypot(a, b));
  const double half_sum = std::atan2(b, a), half_difference = std::atan2(d, c);
  if (middle <= kGimbalTolerance) return {wrapped(2 * half_sum), middle - kPi / 2, 0};
  if (middle >= kPi - kGimbalTolerance) return {wrapped(-2 * half_difference), middle - kPi / 2, 0};
  return {wrapped(half_sum - half_difference), middle - kPi / 2, wrapped(half_sum + half_difference)};
}

}  // namespace

const char* to_string(RotationFormat format) noexcept {
  switch (format) {
    case RotationFormat::Matrix:
      return "matrix";
    case RotationFormat::Quaternion:
      return "quaternion";
    case RotationFormat::EulerXyz:
      return "euler";
    case RotationFormat::RotationVector:
      return "rotation_vector";
    case RotationFormat::Rotation6d:
      return "rotation_6d";
  }
  return "unknown";
}

RotationFormat rotation_format_from_string(const std::string& text, const std::string& field) {
  std::string accepted;
  for (const RotationFormat format : kFormats) {
    if (text == to_string(format)) return format;
    accepted += (accepted.empty() ? "" : ", ") + std::string(to_string(format));
  }
  throw ConfigError(field, "'" + text + "'", "must be one of " + accepted);
}

std::size_t size_of(RotationFormat format) noexcept {
  switch (format) {
    case RotationFormat::Matrix:
      return 9;
    case RotationFormat::Quaternion:
      return 4;
    case RotationFormat::EulerXyz:
    case RotationFormat::RotationVector:
      return 3;
    case RotationFormat::Rotation6d:
      return 6;
  }
  return 0;
}

Quaternion to_quaternion(RotationFormat format, std::span<const double> rotation, const std::string& name) {
  if (rotation.size() != size_of(format))
    throw ConfigError(name, std::to_string(rotation.size()) + " values",
                      "must have " + std::to_string(size_of(format)) + " for " + to_string(format));
  for (std::size_t i = 0; i < rotation.size(); ++i)
    if (!std::isfinite(rotation[i])) throw ConfigError(at(name, i), number(rotation[i]), "must be finite");
  switch (format) {
    case RotationFormat::Matrix:
      return from_checked_matrix(rotation, name);
    case RotationFormat::Quaternion: {
      const Quaternion q = {rotation[0], rotation[1], rotation[2], rotation[3]};
      if (q == Quaternion{}) throw ConfigError(name, "0 0 0 0", "must be a quaternion of length > 0");
      return canonical(q);
    }
    case RotationFormat::EulerXyz:
      return from_euler(rotation[0], rotation[1], rotation[2]);
    case RotationFormat::RotationVector:
      return from_rotation_vector(rotation);
    case RotationFormat::Rotation6d:
      return from_6d(rotation, name);
  }
  return {0, 0, 0, 1};
}

void from_quaternion(const Quaternion& q, RotationFormat format, std::span<double> rotation) noexcept {
  switch (format) {
    case RotationFormat::Matrix: {
      const Matrix3 m = matrix_of(q);
      std::copy(m.begin(), m.end(), rotation.begin());
      return;
    }
    case RotationFormat::Quaternion:
      std::copy(q.begin(), q.end(), rotation.begin());
      return;
    case RotationFormat::EulerXyz: {
      const Vector3 angles = euler_of(q);
      std::copy(angles.begin(), angles.end(), rotation.begin());
      return;
    }
    case RotationFormat::RotationVector: {
      const double length = std::hypot(q[0], q[1], q[2]);
      const double angle = 2 * std::atan2(length, q[3]);
      // a/sin(a/2); its series is exact to rounding below 1e-3.
      const double scale = angle < 1e-3 ? 2 + angle * angle / 12 : angle / length;
      for (std::size_t i = 0; i < 3; ++i) rotation[i] = q[i] * scale;
      return;
    }
    case RotationFormat::Rotation6d: {
      const Matrix3 m = matrix_of(q);
      for (std::size_t i = 0; i < 3; ++i) rotation[i] = m[i * 3], rotation[3 + i] = m[i * 3 + 1];
      return;
    }
  }
}

void convert_rotations(RotationFormat from, RotationFormat to, std::span<const double> in,
                       std::span<double> out, const std::string& name) {
  const std::size_t n_in = size_of(from), n_out = size_of(to);
  if (in.size() % n_in != 0 || out.size() != in.size() / n_in * n_out)
    throw ConfigError(name, std::to_string(in.size()) + " values",
                      "must be a multiple of " + std::to_string(n_in) + " and fit the output");
  for (std::size_t r = 0; r * n_in < in.size(); ++r) {
    const std::span<const double> one = in.subspan(r * n_in, n_in);
    for (std::size_t i = 0; i < n_in; ++i)
      if (!std::isfinite(one[i])) throw ConfigError(at(name, r * n_in + i), number(one[i]), "must be finite");
    from_quaternion(to_quaternion(from, one, n_in == in.size() ? name : at(name, r)), to,
                    out.subspan(r * n_out, n_out));
  }
}

}  // namespace vla_rt
