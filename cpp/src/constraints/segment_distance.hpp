#pragma once
#include <algorithm>
#include <cmath>

#include "constraints/vector3.hpp"

// Exact distances of line segments (a point is one of length 0): to a segment and to a box. Segment to
// segment after Ericson, Real-Time Collision Detection (2005), 5.1.9, with the ends tried as well where the
// two are so nearly parallel that its denominator loses digits.

namespace vla_rt::constraints {

struct Segment {
  Vector3 start{}, end{};
};

/// A box with its axes along its own frame.
struct Box {
  Transform pose;       // of its centre
  Vector3 half_size{};  // [m]
};

/// Shortest way from a fixed shape to a segment.
struct Separation {
  double distance = 0;
  Vector3 normal{};  // unit, from the shape to the segment; zero when they touch
  double at = 0;     // where on the segment, 0 start to 1 end
};

[[nodiscard]] inline Separation separation_of(const Vector3& from, const Vector3& to, double at) noexcept {
  const Vector3 d = minus(to, from);
  const double length = norm(d);
  if (!(length > 0)) return {.distance = 0, .normal = {}, .at = at};
  return {.distance = length, .normal = {d[0] / length, d[1] / length, d[2] / length}, .at = at};
}

/// Parameter of the point of a segment nearest to p.
[[nodiscard]] inline double nearest_on(const Segment& s, const Vector3& p) noexcept {
  const Vector3 d = minus(s.end, s.start);
  const double length2 = dot(d, d);
  return length2 > 0 ? std::clamp(dot(minus(p, s.start), d) / length2, 0.0, 1.0) : 0.0;
}

[[nodiscard]] inline Vector3 point_on(const Segment& s, double t) noexcept {
  return along(s.start, t, minus(s.end, s.start));
}

/// From `fixed` to `moving`.
[[nodiscard]] inline Separation separation(const Segment& fixed, const Segment& moving) noexcept {
  const Vector3 d1 = minus(fixed.end, fixed.start), d2 = minus(moving.end, moving.start);
  const Vector3 r = minus(fixed.start, moving.start);
  const double a = dot(d1, d1), e = dot(d2, d2), f = dot(d2, r);
  if (!(a > 0) || !(e > 0)) {
    if (!(a > 0)) {
      const double t = nearest_on(moving, fixed.start);
      return separation_of(fixed.start, point_on(moving, t), t);
    }
    return separation_of(point_on(fixed, nearest_on(fixed, moving.start)), moving.start, 0);
  }
  const double b = dot(d1, d2), c = dot(d1, r), denominator = a * e - b * b;
  double s = denominator > 0 ? std::clamp((b * f - c * e) / denominator, 0.0, 1.0) : 0.0;
  double t = (b * s + f) / e;
  if (t < 0 || t > 1) {
    t = std::clamp(t, 0.0, 1.0);
    s = std::clamp((b * t - c) / a, 0.0, 1.0);
  }
  Separation best = separation_of(point_on(fixed, s), point_on(moving, t), t);
  if (denominator < 1e-6 * a * e) {
    const auto consider = [&](const Separation& other) {
      if (other.distance < best.distance) best = other;
    };
    for (const double end : {0.0, 1.0}) {
      const Vector3 p = point_on(moving, end), q = point_on(fixed, end);
      consider(separation_of(point_on(fixed, nearest_on(fixed, p)), p, end));
      const double on = nearest_on(moving, q);
      consider(separation_of(q, point_on(moving, on), on));
    }
  }
  return best;
}

/// From the box to the segment. The squared distance of a point of the segment is convex in its parameter;
/// its slope is linear between the parameters at which the segment crosses a face's plane.
[[nodiscard]] inline Separation separation(const Box& box, const Segment& moving) noexcept {
  const Vector3 p = apply_back(box.pose, moving.start);
  const Vector3 d = minus(apply_back(box.pose, moving.end), p);
  const auto beyond = [&](double t) {
    Vector3 out{};
    for (std::size_t k = 0; k < 3; ++k) {
      const double x = p[k] + t * d[k];
      out[k] = x - std::clamp(x, -box.half_size[k], box.half_size[k]);
    }
    return out;
  };
  const auto slope = [&](double t) { return dot(beyond(t), d); };
  double t = 0;
  if (slope(0) < 0) {
    t = 1;
    if (slope(1) > 0) {
      // The knots next to the slope's zero.
      double lo = 0, hi = 1, slope_lo = slope(0), slope_hi = slope(1);
      for (std::size_t k = 0; k < 3; ++k)
        for (const double face : {-box.half_size[k], box.half_size[k]}) {
          const double at = (face - p[k]) / d[k];
          if (!(at > lo && at < hi)) continue;
          const double there = slope(at);
          (there < 0 ? lo : hi) = at;
          (there < 0 ? slope_lo : slope_hi) = there;
        }
      t = slope_hi > slope_lo ? lo - slope_lo * (hi - lo) / (slope_hi - slope_lo) : hi;
    }
  }
  const Vector3 out = rotate(box.pose.rotation, beyond(t));
  return separation_of({}, out, t);
}

/// Largest extent of the box along a unit direction, from the world's origin.
[[nodiscard]] inline double support(const Box& box, const Vector3& n) noexcept {
  const Vector3 m = rotate_back(box.pose.rotation, n);
  return dot(n, box.pose.translation) + std::fabs(m[0]) * box.half_size[0] +
         std::fabs(m[1]) * box.half_size[1] + std::fabs(m[2]) * box.half_size[2];
}
[[nodiscard]] inline double support(const Segment& s, const Vector3& n) noexcept {
  return std::max(dot(n, s.start), dot(n, s.end));
}

}  // namespace vla_rt::constraints
