// The solver against the conditions of its optimum; the tick against its promises.
#include "vla_rt/constraints/differential_ik.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "constraints/damped_least_squares.hpp"
#include "constraints/seven_joint_arm.hpp"
#include "instruments/allocation_count.hpp"
#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/constraints/violation_counter.hpp"

using namespace vla_rt;
using constraints::DampedLeastSquares;
using constraints::Task;

namespace {

constexpr std::size_t N = 7;
constexpr double kPeriod = 1e-3;

std::vector<double> all(double x) { return std::vector<double>(N, x); }
JointLimits limits() { return JointLimits::make(all(-2.7), all(2.7), all(2.62), all(10), all(5000)); }

}  // namespace

TEST_CASE("bounded least squares: no feasible change of one joint gains anything, for any bounds") {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  for (int trial = 0; trial < 2000; ++trial) {
    const std::size_t n = 1 + static_cast<std::size_t>(trial) % 12;
    DampedLeastSquares solver(n);
    const double damping = std::pow(10.0, -8.0 * static_cast<double>(random() % 1000) / 1000);
    for (double& x : solver.jacobian()) x = normal(random);
    Task e;
    for (double& x : e) x = normal(random);
    std::vector<double> lo(n), hi(n), bias(n), x(n);
    for (std::size_t j = 0; j < n; ++j) {
      lo[j] = trial % 3 == 0 && j % 2 == 0 ? 0 : -std::abs(normal(random));
      hi[j] = trial % 5 == 0 && j % 3 == 0 ? 0 : std::abs(normal(random));
      bias[j] = trial % 2 == 0 ? 0 : normal(random);
    }
    const std::vector<double> jacobian(solver.jacobian().begin(), solver.jacobian().end());
    solver.minimise(e, damping, bias, lo, hi, x);
    Task residual = e;
    for (std::size_t k = 0; k < 6; ++k)
      for (std::size_t j = 0; j < n; ++j) residual[k] -= jacobian[k * n + j] * x[j];
    for (std::size_t j = 0; j < n; ++j) {
      CHECK(x[j] >= lo[j]);
      CHECK(x[j] <= hi[j]);
      double slope = x[j] - bias[j];
      for (std::size_t k = 0; k < 6; ++k) slope -= jacobian[k * n + j] * residual[k] / (damping + 1e-12);
      const double tolerance = 1e-9 + 2e-6 / damping;
      if (x[j] > lo[j]) CHECK(slope <= tolerance);
      if (x[j] < hi[j]) CHECK(slope >= -tolerance);
    }
  }
}

TEST_CASE("wild poses break no limit and leave finite numbers") {
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal;
  DifferentialIk ik(vla_rt::testing::seven_joint_arm(), limits(), kPeriod);
  ConstraintEnforcer enforcer(limits(), kPeriod);
  ViolationCounter judge(limits(), kPeriod);
  ik.reset(all(0.1));
  enforcer.reset(all(0.1));
  judge.reset(all(0.1));
  DifferentialIkReport report;
  EnforcerReport enforced;
  Pose target = ik.pose();
  for (int t = 0; t < 20000; ++t) {
    if (t % 50 == 0) {
      for (double& x : target.position) x = (t % 500 == 0 ? 1e6 : 1) * normal(random);
      for (double& x : target.rotation) x = normal(random);
      target.rotation = normalized(target.rotation);
      if (t % 350 == 0) target.rotation = {0, 0, 0, 0};
    }
    const double rate = t % 30 == 0 ? 1e6 : 0.3;
    const std::vector<double> before(ik.position().begin(), ik.position().end());
    ik.update(target, {{rate * normal(random), 0, 0}, {0, rate * normal(random), 0}}, report);
    for (std::size_t j = 0; j < N; ++j) {
      CHECK(std::abs(ik.position()[j]) <= 2.7);
      CHECK(std::abs(ik.position()[j] - before[j]) <= 2.62 * kPeriod * (1 + 1e-9));
      CHECK(std::abs(ik.velocity()[j]) <= 2.62);
    }
    enforcer.apply(ik.position(), ik.velocity(), enforced);
    judge.add(enforcer.position());
    if (t % 700 == 0) ik.follow(enforcer.position());
  }
  CHECK(judge.total() == 0);
}

TEST_CASE("before the first reset it answers Fault and stays where it is") {
  DifferentialIk ik(vla_rt::testing::seven_joint_arm(), limits(), kPeriod);
  DifferentialIkReport report;
  CHECK(ik.update({}, report) == Status::Fault);
  CHECK_FALSE(ik.has_start());
  CHECK(ik.position()[0] == 0);
}

TEST_CASE("a pose is met to rounding and a delta in the tool's frame is the product of the poses") {
  DifferentialIk ik(vla_rt::testing::seven_joint_arm(), limits(), kPeriod);
  ik.reset(all(0.4));
  const Pose start = ik.pose();
  DifferentialIkReport report;
  const Vector3 step{1e-5, -2e-5, 1e-5}, turn{2e-5, 1e-5, -3e-5};
  for (int t = 0; t < 1000; ++t) ik.update_delta(step, turn, DeltaFrame::Tool, report);
  CHECK(report.status == Status::Ok);
  CHECK(report.position_error < 1e-7);
  Transform expected = to_transform(start);
  const Transform delta = to_transform(moved({}, step, turn, DeltaFrame::Tool));
  for (int t = 0; t < 1000; ++t) expected = compose(expected, delta);
  const Pose reached = to_pose(vla_rt::testing::seven_joint_arm().forward(ik.position()));
  for (std::size_t k = 0; k < 3; ++k) {
    CHECK(reached.position[k] == doctest::Approx(expected.translation[k]).epsilon(1e-6));
    CHECK(std::abs(rotation_between(reached.rotation, to_pose(expected).rotation)[k]) < 1e-6);
  }
}

TEST_CASE("inverse kinematics allocates nothing, whatever the poses") {
  const Kinematics arm = vla_rt::testing::seven_joint_arm();
  const auto all = [](double x) { return std::vector<double>(7, x); };
  const JointLimits limits = JointLimits::make(all(-2.7), all(2.7), all(2.62), all(10), all(5000));
  DifferentialIk ik(arm, limits, 1e-3);
  ik.reset(all(0.3));
  DifferentialIkReport report;
  const std::vector<double> elsewhere = all(-0.5);
  const long before = allocations();
  for (int t = 0; t < 3000; ++t) {
    Pose target = ik.pose();
    target.position[static_cast<std::size_t>(t % 3)] += t % 11 == 0 ? 5 : 0.01;
    if (t % 7 == 0) target.rotation[0] = std::numeric_limits<double>::quiet_NaN();
    ik.update(target, {{0, 1e5, 0}, {0, 0, 1}}, report);
    ik.update(target, report);
    ik.update_delta({0.01, 0, 0}, {0, 0.02, 0}, t % 2 == 0 ? DeltaFrame::Base : DeltaFrame::Tool, report);
    if (t % 500 == 0) ik.follow(elsewhere);
  }
  CHECK(before > 0);  // the counter does count
  CHECK(allocations() == before);
}
