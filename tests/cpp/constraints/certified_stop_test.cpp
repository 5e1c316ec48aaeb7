#include "constraints/certified_stop.hpp"

#include <doctest/doctest.h>

#include "constraints/adversary.hpp"

using namespace vla_rt;
using namespace vla_rt::constraints;
using vla_rt::adversary::Rng;

namespace {

// The same stop by brute force: small steps of the profile.
Extent extent_by_steps(const MotionState& start, double A, double J) {
  const StopProfile stop = stop_profile(start.v, start.a, A, J);
  Extent extent{start.q, start.q};
  for (int k = 1; k <= 2000; ++k) {
    const double t = stop.duration() * k / 2000;
    const MotionState x = stop_motion(stop, J, t).at(start, t);
    extent.lo = std::min(extent.lo, x.q);
    extent.hi = std::max(extent.hi, x.q);
  }
  return extent;
}

}  // namespace

TEST_CASE("the stop ends at rest, where its displacement says, inside acceleration and jerk") {
  Rng rng(1);
  for (int k = 0; k < 20000; ++k) {
    const double A = rng.log_uniform(0.5, 50), J = rng.log_uniform(50, 20000), V = rng.log_uniform(0.05, 8);
    const MotionState x{.q = rng.uniform(-3, 3), .v = rng.uniform(-V, V), .a = rng.uniform(-A, A)};
    const StopProfile stop = stop_profile(x.v, x.a, A, J);
    REQUIRE(stop.t1 >= 0);
    REQUIRE(stop.t2 >= 0);
    REQUIRE(stop.t3 >= 0);
    const MotionState end = stop_motion(stop, J, stop.duration()).at(x, stop.duration());
    REQUIRE(end.v == doctest::Approx(0).scale(V + 1).epsilon(1e-11));
    REQUIRE(end.a == doctest::Approx(0).scale(A + 1).epsilon(1e-10));
    REQUIRE(end.q == doctest::Approx(x.q + stop_displacement(x.v, x.a, A, J)).scale(10).epsilon(1e-12));
    REQUIRE(std::fabs(x.a - stop.sigma * J * stop.t1) <= A * (1 + 1e-12));
  }
}

TEST_CASE("the closed-form range of a stop is the range of its path") {
  Rng rng(2);
  for (int k = 0; k < 300; ++k) {
    const double A = rng.log_uniform(0.5, 50), J = rng.log_uniform(50, 20000), V = rng.log_uniform(0.05, 8);
    const MotionState x{.q = 0, .v = rng.uniform(-V, V), .a = rng.uniform(-A, A)};
    const Extent closed = stop_extent(x, A, J), brute = extent_by_steps(x, A, J);
    const double size = brute.hi - brute.lo;
    REQUIRE(closed.lo <= brute.lo + 1e-12);
    REQUIRE(closed.hi >= brute.hi - 1e-12);
    REQUIRE(closed.hi - closed.lo <= size * (1 + 1e-3) + 1e-12);
  }
}

TEST_CASE("tail property: the stop of any state on a stop is the rest of that stop, for every tick") {
  Rng rng(3);
  for (int k = 0; k < 20000; ++k) {
    const double A = rng.log_uniform(0.5, 50), J = rng.log_uniform(50, 20000), V = rng.log_uniform(0.05, 8);
    const MotionState x{.q = 0, .v = rng.uniform(-V, V), .a = rng.uniform(-A, A)};
    const StopProfile stop = stop_profile(x.v, x.a, A, J);
    const double h = rng.unit() * stop.duration();
    const MotionState y = stop_sample(x, stop, stop_motion(stop, J, h), A, J, h);
    const StopProfile rest = stop_profile(y.v, y.a, A, J);
    REQUIRE(rest.duration() == doctest::Approx(stop.duration() - h).scale(stop.duration()).epsilon(1e-6));
    REQUIRE(y.q + stop_displacement(y.v, y.a, A, J) ==
            doctest::Approx(stop_displacement(x.v, x.a, A, J)).scale(10).epsilon(1e-12));
  }
}
