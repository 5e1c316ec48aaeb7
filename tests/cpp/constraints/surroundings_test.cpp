// Workspace, collision and a check of the user's own, through the whole enforcer.
#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include "constraints/surroundings_adversary.hpp"
#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;
using namespace vla_rt::adversary;

namespace {

// A sledge on the x axis: the joint's value is the tool's x.
const char* kSledge =
    "<robot name='r'><link name='base'/><link name='tool'/><joint name='j' type='prismatic'>"
    "<parent link='base'/><child link='tool'/><axis xyz='1 0 0'/>"
    "<limit lower='-3' upper='3' velocity='2'/></joint></robot>";

JointLimits sledge_limits(double a = 10) {
  const double lo = -3, hi = 3, v = 2, j = 5000;
  return JointLimits::make({&lo, 1}, {&hi, 1}, {&v, 1}, {&a, 1}, {&j, 1});
}

Workspace wall_at(double x) {
  Workspace w;
  w.upper[0] = x;
  return w;
}

ConstraintEnforcer sledge_before(const Surroundings& surroundings) {
  return ConstraintEnforcer(sledge_limits(), 1e-3, EnforcerOptions{},
                            Kinematics::from_urdf_text(kSledge, "tool"), surroundings);
}

class Fence final : public StateCheck {
 public:
  explicit Fence(double x) : x_(x) {}
  [[nodiscard]] bool is_free(std::span<const double> q) const noexcept override {
    ++calls;
    return q[0] <= x_;
  }
  mutable int calls = 0;

 private:
  double x_;
};

}  // namespace

TEST_CASE("no stream, stop or change of limits takes any arm out of its workspace or into a collision") {
  const adversary::Tally tally = adversary::attack_surroundings(41, 100'000);
  CHECK(tally.violations == 0);
  CHECK(tally.worst_position <= 0);
  CHECK(tally.worst_position > -1e-4);            // the attack does press on the walls
  CHECK(tally.altered > tally.joint_ticks / 20);  // and they do push back
}

TEST_CASE("the tool comes to rest a tenth of a millimetre before a wall, as fast as without it") {
  ConstraintEnforcer enforcer = sledge_before({.workspaces = {wall_at(1)}, .collision = {}, .check = {}});
  ConstraintEnforcer alone(sledge_limits(), 1e-3);
  const double start = 0, goal = 2, at_wall = 1 - 3e-4;
  enforcer.reset({&start, 1});
  alone.reset({&start, 1});
  EnforcerReport report;
  int ticks = 0, best = 0;
  for (; std::fabs(enforcer.position()[0] - at_wall) > 1e-4 && ticks < 3000; ++ticks)
    enforcer.apply({&goal, 1}, {}, report);
  for (; std::fabs(alone.position()[0] - at_wall) > 1e-4 && best < 3000; ++best)
    alone.apply({&at_wall, 1}, {}, report);
  CHECK(ticks <= best + 10);
  for (int t = 0; t < 1000; ++t) CHECK(enforcer.apply({&goal, 1}, {}, report) == Status::Limited);
  CHECK(enforcer.at_rest());
  CHECK(report.workspace_distance >= 1e-4);
  CHECK(report.workspace_distance < 1e-3);
}

TEST_CASE("a sheet thinner than one tick of motion stops the robot, also where sliding overlooks it") {
  const Kinematics sledge = Kinematics::from_urdf_text(kSledge, "tool");
  for (int phase = 0; phase < 40; ++phase) {
    CollisionShapes shapes;
    shapes.capsules.push_back({.start = {}, .end = {}, .radius = 0, .link = "tool"});
    for (int rail = 0; rail < 20; ++rail)  // more than sliding looks at, beside the whole way
      shapes.world_capsules.push_back(
          {.start = {-3, 0.04, 0}, .end = {3, 0.04, 0}, .radius = 0.01, .link = {}});
    shapes.world_boxes.push_back({.pose = {}, .half_size = {1e-6, 1, 1}});
    shapes.world_boxes[0].pose.translation[0] = 1 + 1e-4 * phase;
    ConstraintEnforcer enforcer =
        sledge_before({.workspaces = {}, .collision = CollisionModel(sledge, shapes), .check = {}});
    const double start = 0, goal = 2;
    enforcer.reset({&start, 1});
    EnforcerReport report;
    for (int t = 0; t < 1200; ++t) {
      const double target = t < 5 ? start : goal;  // rests first
      enforcer.apply({&target, 1}, {}, report);
    }
    CHECK(enforcer.position()[0] < 1 + 1e-4 * phase);
    CHECK(enforcer.position()[0] > 0.998);
  }
}

TEST_CASE("limits whose longer stop would reach a wall take effect only when it no longer does") {
  for (int moment = 100; moment < 700; moment += 7) {
    ConstraintEnforcer enforcer = sledge_before({.workspaces = {wall_at(1)}, .collision = {}, .check = {}});
    const double start = 0, goal = 2;
    enforcer.reset({&start, 1});
    EnforcerReport report;
    for (int t = 0; t < 2500; ++t) {
      if (t == moment) enforcer.set_limits(sledge_limits(1));
      enforcer.apply({&goal, 1}, {}, report);
      REQUIRE(enforcer.position()[0] < 1);
      REQUIRE(report.workspace_distance > 0);
    }
    CHECK(enforcer.limits().max_acceleration[0] == 1);
    const double back = -2;
    for (int t = 0; t < 100; ++t) {
      enforcer.apply({&back, 1}, {}, report);
      REQUIRE(std::fabs(enforcer.acceleration()[0]) <= 1);
    }
  }
}

TEST_CASE("a check of the user's own is obeyed, at its documented cost") {
  const auto fence = std::make_shared<Fence>(1.0);
  ConstraintEnforcer enforcer = sledge_before({.workspaces = {}, .collision = {}, .check = fence});
  const double start = 0;
  enforcer.reset({&start, 1});
  EnforcerReport report;
  Rng rng(42);
  double memory = 2;
  int most_calls = 0;
  for (int t = 0; t < 20'000; ++t) {
    const double goal = rng.one_in(300) ? memory = rng.uniform(-3, 3) : memory;
    fence->calls = 0;
    enforcer.apply({&goal, 1}, {}, report);
    most_calls = std::max(most_calls, fence->calls);
    REQUIRE(enforcer.position()[0] <= 1);
    if (goal > 1 && t > 1000 && enforcer.at_rest()) CHECK((report.causes[0] & 32) != 0);
  }
  CHECK(most_calls > StateCheck::kInstants);
  CHECK(most_calls <= 7 * StateCheck::kInstants);
  const double beyond = 1.5, last_good = enforcer.position()[0];
  CHECK_THROWS_AS(enforcer.reset({&beyond, 1}), ConfigError);
  CHECK(enforcer.position()[0] == last_good);
}
