#include "constraints/segment_distance.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "constraints/random_arm.hpp"

using namespace vla_rt;
using namespace vla_rt::constraints;
using namespace vla_rt::adversary;

namespace {

// Least value of a convex function on [0, 1].
double least(const auto& f) {
  double lo = 0, hi = 1;
  for (int k = 0; k < 60; ++k) {
    const double a = lo + (hi - lo) / 3, b = hi - (hi - lo) / 3;
    (f(a) < f(b) ? hi : lo) = f(a) < f(b) ? b : a;
  }
  return std::min({f(lo), f(hi), f(0.0), f(1.0)});
}

double point_to_segment(const Vector3& p, const Segment& s) {
  return least([&](double t) { return norm(minus(p, point_on(s, t))); });
}

Segment random_segment(Rng& rng) {
  Segment s{random_point(rng, 1), random_point(rng, 1)};
  if (rng.one_in(5)) s.end = s.start;
  return s;
}

}  // namespace

TEST_CASE("the distance of two segments is the least of all their points, parallel and degenerate ones too") {
  Rng rng(31);
  for (int k = 0; k < 1000; ++k) {
    const Segment a = random_segment(rng);
    Segment b = random_segment(rng);
    if (rng.one_in(4)) {  // parallel, or nearly so
      const double tilt = rng.one_in(2) ? 0 : rng.log_uniform(1e-12, 1e-4);
      b.end = along(along(b.start, rng.uniform(-1, 1), minus(a.end, a.start)), tilt, random_point(rng, 1));
    }
    const double expected = least([&](double t) { return point_to_segment(point_on(b, t), a); });
    const Separation found = separation(a, b);
    REQUIRE(found.distance == doctest::Approx(expected).epsilon(1e-7).scale(1));
    if (expected < 1e-3) continue;
    REQUIRE(norm(found.normal) == doctest::Approx(1));
    // The normal separates: all of b lies beyond a's support along it by the distance.
    const double floor = support(a, found.normal) + found.distance;
    REQUIRE(dot(found.normal, b.start) >= floor - 1e-7);
    REQUIRE(dot(found.normal, b.end) >= floor - 1e-7);
  }
}

TEST_CASE("the distance of a box and a segment is the least of all their points") {
  Rng rng(32);
  for (int k = 0; k < 1000; ++k) {
    Box box;
    const double angle = rng.uniform(-3, 3);
    box.pose.rotation = {std::cos(angle), -std::sin(angle), 0, std::sin(angle), std::cos(angle), 0, 0, 0, 1};
    box.pose.translation = random_point(rng, 1);
    box.half_size = {rng.log_uniform(1e-3, 1), rng.log_uniform(1e-3, 1), rng.log_uniform(1e-3, 1)};
    Segment s = random_segment(rng);
    if (rng.one_in(4)) s.end[2] = s.start[2];  // along a face
    const double expected = least([&](double t) {
      const Vector3 p = apply_back(box.pose, point_on(s, t));
      Vector3 out{};
      for (std::size_t i = 0; i < 3; ++i) out[i] = std::max(0.0, std::fabs(p[i]) - box.half_size[i]);
      return norm(out);
    });
    const Separation found = separation(box, s);
    REQUIRE(found.distance == doctest::Approx(expected).epsilon(1e-7).scale(1));
    if (expected < 1e-3) continue;
    const double floor = support(box, found.normal) + found.distance;
    REQUIRE(dot(found.normal, s.start) >= floor - 1e-7);
    REQUIRE(dot(found.normal, s.end) >= floor - 1e-7);
  }
}
