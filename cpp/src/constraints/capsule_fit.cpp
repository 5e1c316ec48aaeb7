#include "constraints/capsule_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace vla_rt::constraints {
namespace {

// A point and a unit direction.
struct Line {
  Vector3 point{}, direction{};
};

double volume(const FittedCapsule& c) {
  const double r = c.radius, length = norm(minus(c.axis.end, c.axis.start));
  return std::numbers::pi * r * r * (length + 4.0 / 3.0 * r);
}

// The smallest capsule about a line: its radius is the largest distance from the line, and a point at s
// along it and rho beside it needs an end no nearer than s -+ sqrt(r^2 - rho^2).
FittedCapsule around(const Line& line, std::span<const Vector3> points) {
  double r2 = 0;
  for (const Vector3& p : points) {
    const Vector3 d = minus(p, line.point);
    const double s = dot(d, line.direction);
    r2 = std::max(r2, dot(d, d) - s * s);
  }
  double first = std::numeric_limits<double>::infinity(), last = -first;
  for (const Vector3& p : points) {
    const Vector3 d = minus(p, line.point);
    const double s = dot(d, line.direction);
    const double cap = std::sqrt(std::max(0.0, r2 - (dot(d, d) - s * s)));
    first = std::min(first, s + cap);
    last = std::max(last, s - cap);
  }
  if (first > last) first = last = 0.5 * (first + last);  // a sphere anywhere between holds all
  return {.axis = {along(line.point, first, line.direction), along(line.point, last, line.direction)},
          .radius = std::sqrt(r2)};
}

Vector3 unit(const Vector3& v) {
  const double length = norm(v);
  return {v[0] / length, v[1] / length, v[2] / length};
}

// The points that are extreme in one of many directions: what decides a capsule, nearly.
std::vector<Vector3> extremes(std::span<const Vector3> points) {
  constexpr int kDirections = 400;
  std::vector<Vector3> kept;
  for (int k = 0; k < kDirections; ++k) {  // a Fibonacci sphere
    const double z = 1 - (2 * k + 1.0) / kDirections, angle = k * std::numbers::pi * (3 - std::sqrt(5.0));
    const double r = std::sqrt(1 - z * z);
    const Vector3 n{r * std::cos(angle), r * std::sin(angle), z};
    kept.push_back(*std::ranges::max_element(points, {}, [&](const Vector3& p) { return dot(n, p); }));
  }
  std::ranges::sort(kept);
  kept.erase(std::ranges::unique(kept).begin(), kept.end());
  return kept;
}

Vector3 middle_of(std::span<const Vector3> points) {
  Vector3 low = points[0], high = points[0];
  for (const Vector3& p : points)
    for (std::size_t k = 0; k < 3; ++k) {
      low[k] = std::min(low[k], p[k]);
      high[k] = std::max(high[k], p[k]);
    }
  return {0.5 * (low[0] + high[0]), 0.5 * (low[1] + high[1]), 0.5 * (low[2] + high[2])};
}

// Two directions across n.
std::array<Vector3, 2> across(const Vector3& n) {
  const Vector3 helper = std::fabs(n[0]) < 0.9 ? Vector3{1, 0, 0} : Vector3{0, 1, 0};
  const Vector3 x = unit(cross(n, helper));
  return {x, cross(n, x)};
}

// Shifts and tilts the line as long as the volume falls.
Line refined(Line line, std::span<const Vector3> points, double extent) {
  double best = volume(around(line, points));
  double step = 0.2;
  for (int halvings = 0; halvings < 11; ++halvings, step *= 0.5) {
    for (bool better = true; better;) {
      better = false;
      const std::array<Vector3, 2> sides = across(line.direction);
      for (const Vector3& side : sides)
        for (const double by : {step, -step})
          for (const bool tilt : {false, true}) {
            Line trial = line;
            if (tilt)
              trial.direction = unit(along(line.direction, by, side));
            else
              trial.point = along(line.point, by * extent, side);
            const double v = volume(around(trial, points));
            if (v < best * (1 - 1e-6)) {
              best = v;
              line = trial;
              better = true;
            }
          }
    }
  }
  return line;
}

}  // namespace

FittedCapsule fit_capsule(std::span<const Vector3> points) {
  const std::vector<Vector3> few = extremes(points);
  const Vector3 middle = middle_of(points);
  double extent = 0;
  for (const Vector3& p : few) extent = std::max(extent, norm(minus(p, middle)));
  FittedCapsule best{.axis = {middle, middle}, .radius = std::numeric_limits<double>::infinity()};
  if (!(extent > 0)) return {.axis = {middle, middle}, .radius = 0};
  constexpr double d = 0.57735026918962576;
  for (const Vector3& start : {Vector3{1, 0, 0}, Vector3{0, 1, 0}, Vector3{0, 0, 1}, Vector3{d, d, d},
                               Vector3{-d, d, d}, Vector3{d, -d, d}, Vector3{d, d, -d}}) {
    const FittedCapsule found = around(refined({.point = middle, .direction = start}, few, extent), points);
    if (volume(found) < volume(best)) best = found;
  }
  best.radius += 1e-9 * extent;
  return best;
}

}  // namespace vla_rt::constraints
