#include "vla_rt/execution/simulated_robot.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "execution/seven_joints.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

// Closed-form step response from rest at 0 to 1.
double step_response(double t, double w, double z) {
  if (z == 1) return 1 - (1 + w * t) * std::exp(-w * t);
  if (z > 1) {
    const double r = w * std::sqrt(z * z - 1), a = -z * w + r, b = -z * w - r;
    return 1 + (b * std::exp(a * t) - a * std::exp(b * t)) / (a - b);
  }
  const double d = w * std::sqrt(1 - z * z);
  return 1 - std::exp(-z * w * t) * (std::cos(d * t) + z * w / d * std::sin(d * t));
}

}  // namespace

TEST_CASE("a simulated servo answers a step by its closed form, whatever its damping") {
  for (const double damping : {0.2, 1.0, 3.0})
    for (const double frequency : {2.0, 40.0}) {
      const std::array<double, kJoints> zero{};
      SimulatedRobot robot(seven_joint_limits(), zero, {frequency, damping, 0.002});
      RobotCommand command;
      command.num_joints = kJoints;
      command.position.fill(1);
      RobotState state;
      for (int k = 1; k <= 300; ++k) {
        command.time_ns = k * 2'000'000;
        robot.write(command);
        REQUIRE(robot.read(state) == ReadResult::Fresh);
        REQUIRE(state.position[6] ==
                doctest::Approx(step_response(0.002 * k, 2 * M_PI * frequency, damping)).epsilon(1e-9));
      }
      CHECK(state.time_ns == 301 * 2'000'000);
      CHECK(robot.read(state) == ReadResult::Unchanged);
    }
}

TEST_CASE("a simulated robot checks what it is made of") {
  const std::array<double, kJoints> zero{};
  std::array<double, kJoints> outside{};
  outside[4] = 3;
  CHECK_THROWS_WITH_AS(SimulatedRobot(seven_joint_limits(), outside), doctest::Contains("position[4] = 3"),
                       ConfigError);
  CHECK_THROWS_AS(SimulatedRobot(seven_joint_limits(), {zero.data(), 6}), ConfigError);
  CHECK_THROWS_WITH_AS(SimulatedRobot(seven_joint_limits(), zero, {0, 1, 0.001}),
                       doctest::Contains("natural_frequency_hz = 0"), ConfigError);
  CHECK_THROWS_WITH_AS(SimulatedRobot(seven_joint_limits(), zero, {20, std::nan(""), 0.001}),
                       doctest::Contains("damping_ratio = nan"), ConfigError);
}
