// How targets are followed: steps near the optimum and without overshoot at every period, straight lines.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "constraints/enforcer_adversary.hpp"
#include "vla_rt/constraints/constraint_enforcer.hpp"

using namespace vla_rt;
using vla_rt::adversary::Rng;

namespace {

JointLimits one_joint(double range, double v, double a, double j) {
  const double lo = -range;
  return JointLimits::make({&lo, 1}, {&range, 1}, {&v, 1}, {&a, 1}, {&j, 1});
}

// Shortest time from rest to rest over a distance, by bisection on the peak velocity.
double optimum(double distance, double v, double a, double j) {
  const auto half_time = [&](double peak) {
    return peak * j >= a * a ? peak / a + a / j : 2 * std::sqrt(peak / j);
  };
  const auto way = [&](double peak) { return peak * half_time(peak); };
  if (way(v) <= distance) return 2 * half_time(v) + (distance - way(v)) / v;
  double slow = 0, fast = v;
  for (int k = 0; k < 80; ++k) {
    const double middle = 0.5 * (slow + fast);
    (way(middle) <= distance ? slow : fast) = middle;
  }
  return 2 * half_time(slow);
}

struct Settling {
  int ticks = 0;         // until the command stays within 1e-4 of the goal
  double overshoot = 0;  // beyond the goal
};

Settling settle(ConstraintEnforcer& enforcer, double goal, int at_most) {
  Settling s;
  EnforcerReport report;
  const double side = goal >= enforcer.position()[0] ? 1 : -1;
  for (int t = 1; t <= at_most; ++t) {
    enforcer.apply({&goal, 1}, {}, report);
    const double beyond = side * (enforcer.position()[0] - goal);
    s.overshoot = std::max(s.overshoot, beyond);
    if (std::fabs(beyond) > 1e-4) s.ticks = t + 1;
  }
  return s;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

TEST_CASE("steps settle near the optimum and do not overshoot, whatever limits and period") {
  Rng rng(71);
  std::vector<double> late;
  double overshoot = 0;
  for (int trial = 0; trial < 1500; ++trial) {
    const double h = adversary::random_period(rng), j = rng.log_uniform(50, 20000),
                 a = rng.log_uniform(0.5, 50), v = rng.log_uniform(0.05, 8);
    ConstraintEnforcer enforcer(one_joint(2.7, v, a, j), h);
    const double start = rng.uniform(-2.6, 2.6);
    const double goal =
        rng.one_in(2) ? rng.uniform(-2.6, 2.6)
                      : std::clamp(start + rng.log_uniform(1e-3, 1) * (rng.one_in(2) ? 1 : -1), -2.6, 2.6);
    enforcer.reset({&start, 1});
    const double best = optimum(std::fabs(goal - start), v, a, j);
    const int ticks = static_cast<int>(best / h) + 30;
    const Settling s = settle(enforcer, goal, ticks);
    CHECK(s.ticks < ticks);  // it does settle
    late.push_back(s.ticks - best / h);
    overshoot = std::max(overshoot, s.overshoot);
  }
  CHECK(overshoot < 2e-4);
  CHECK(median(late) < 0);                                  // 1e-4 is reached before the end
  CHECK(*std::max_element(late.begin(), late.end()) < 10);  // at slow ticks, those of the linear law
}

TEST_CASE("a full turn of the acceleration inside one tick changes nothing") {
  for (const double j : {50.0, 500.0, 5000.0, 20000.0})
    for (const double h : {2.5e-4, 1e-3, 4e-3, 1e-2}) {
      Rng rng(72);
      std::vector<double> ratios;
      for (int trial = 0; trial < 40; ++trial) {
        ConstraintEnforcer enforcer(one_joint(2.7, 2.62, 10, j), h);
        const double start = rng.uniform(-2.6, -0.5), goal = rng.uniform(0.5, 2.6);
        enforcer.reset({&start, 1});
        const double best = optimum(goal - start, 2.62, 10, j);
        const Settling s = settle(enforcer, goal, static_cast<int>(1.3 * best / h) + 40);
        REQUIRE(s.overshoot < 1e-4);
        ratios.push_back(s.ticks * h / best);
      }
      CHECK(median(ratios) < 1.02);
    }
}

TEST_CASE("a velocity limit reached within a tick is used fully") {
  const double h = 1e-2, v = 0.08;  // A h = 0.44 rad/s
  ConstraintEnforcer enforcer(one_joint(2.7, v, 44, 11000), h);
  const double start = -2.5;
  enforcer.reset({&start, 1});
  EnforcerReport report;
  const double goal = 2.5;
  for (int t = 0; t < 1000; ++t) enforcer.apply({&goal, 1}, {}, report);
  CHECK(enforcer.position()[0] - start > 0.998 * v * 1000 * h);
}

TEST_CASE("a step ends on the target, exactly at rest, and stays") {
  ConstraintEnforcer enforcer(one_joint(2.7, 2.62, 10, 5000), 1e-3);
  const double start = -1, goal = 1.2345;
  enforcer.reset({&start, 1});
  CHECK(settle(enforcer, goal, 3000).ticks < 1500);
  CHECK(enforcer.position()[0] == goal);
  CHECK(enforcer.at_rest());
}

TEST_CASE("a start exactly on a limit can leave it, at full speed") {
  for (const double start : {-2.7, 2.7}) {
    ConstraintEnforcer enforcer(one_joint(2.7, 2.62, 10, 5000), 1e-3),
        inside = ConstraintEnforcer(one_joint(2.7, 2.62, 10, 5000), 1e-3);
    const double near = start * 0.99, goal = -start / 2, shifted = goal - start + near;
    enforcer.reset({&start, 1});
    inside.reset({&near, 1});
    CHECK(settle(enforcer, goal, 3000).ticks <= settle(inside, shifted, 3000).ticks + 1);
    CHECK(enforcer.position()[0] == goal);
  }
}

TEST_CASE("a small step from rest is a goal, not a velocity") {
  ConstraintEnforcer enforcer(one_joint(2.7, 2.62, 10, 5000), 1e-3);
  const double start = 0.3, goal = 0.301;
  enforcer.reset({&start, 1});
  CHECK(settle(enforcer, start, 100).ticks == 0);
  CHECK(settle(enforcer, goal, 300).overshoot < 1e-4);
  CHECK(enforcer.position()[0] == goal);
}

TEST_CASE("a small step of a target that stood is a goal, not a velocity, at every period") {
  for (const double h : {1e-3, 4e-3, 1e-2})
    for (const double step : {2e-4, 1e-3, 4e-3, 1e-2}) {
      ConstraintEnforcer enforcer(one_joint(2.7, 7, 30, 3000), h);
      const double start = 0.3;
      enforcer.reset({&start, 1});
      settle(enforcer, start, 50);
      const Settling s = settle(enforcer, start + step, 100);
      CHECK(s.overshoot < 1e-5);
      CHECK((s.ticks - optimum(step, 7, 30, 3000) / h) < 8);
    }
}

TEST_CASE("a feasible target is followed as it is, and nothing is reported") {
  ConstraintEnforcer enforcer(one_joint(2.7, 2.62, 10, 5000), 1e-3);
  const double start = 0;
  enforcer.reset({&start, 1});
  EnforcerReport report;
  for (int t = 1; t < 5000; ++t) {
    const double s = t * 1e-3, r = std::min(1.0, s / 2), w = 2 * 3.14159265358979 * 0.4;
    const double ramp = r * r * r * r * (35 - 84 * r + 70 * r * r - 20 * r * r * r);
    const double goal = 0.7 * ramp * std::sin(w * s);
    enforcer.apply({&goal, 1}, {}, report);
    REQUIRE(report.status == Status::Ok);
    REQUIRE(std::fabs(enforcer.position()[0] - goal) < 1e-4);
  }
  CHECK(enforcer.log_count() == 0);
}

TEST_CASE("path_preserving moves from rest along the straight line, as fast as the slowest joint") {
  adversary::Rng rng(6);
  const std::vector<double> lo{-2.8, -1.7, -2.8}, hi{2.8, 1.7, 2.8}, v{2.2, 1, 3}, a{10, 7, 15},
      j{5000, 3500, 1000};
  const JointLimits limits = JointLimits::make(lo, hi, v, a, j);
  for (int trial = 0; trial < 50; ++trial) {
    ConstraintEnforcer enforcer(limits, 1e-3, true);
    std::vector<double> start(3), goal(3);
    for (std::size_t i = 0; i < 3; ++i) {
      start[i] = rng.uniform(0.9 * lo[i], 0.9 * hi[i]);
      goal[i] = rng.uniform(0.9 * lo[i], 0.9 * hi[i]);
    }
    enforcer.reset(start);
    int slowest = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      ConstraintEnforcer alone(
          JointLimits::make({&lo[i], 1}, {&hi[i], 1}, {&v[i], 1}, {&a[i], 1}, {&j[i], 1}), 1e-3);
      alone.reset({&start[i], 1});
      slowest = std::max(slowest, settle(alone, goal[i], 6000).ticks);
    }
    EnforcerReport report;
    double off_line = 0;
    int settled = 0;
    for (int t = 1; t <= 8000; ++t) {
      enforcer.apply(goal, {}, report);
      double length2 = 0, along = 0;
      for (std::size_t i = 0; i < 3; ++i) {
        length2 += (goal[i] - start[i]) * (goal[i] - start[i]);
        along += (goal[i] - start[i]) * (enforcer.position()[i] - start[i]);
      }
      for (std::size_t i = 0; i < 3; ++i) {
        const double on_line = start[i] + along / length2 * (goal[i] - start[i]);
        off_line = std::max(off_line, std::fabs(enforcer.position()[i] - on_line));
        if (std::fabs(enforcer.position()[i] - goal[i]) > 1e-4) settled = t;
      }
    }
    CHECK(off_line < 1e-3);
    // One straight line must respect every joint's velocity, acceleration and jerk at once.
    CHECK(settled < 1.6 * slowest + 30);
  }
}
