// Chunks of tool actions through the controller: plans hit their poses, deltas add up, signs do not matter,
// nothing is allocated.
#include "vla_rt/execution/cartesian_actions.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "constraints/seven_joint_arm.hpp"
#include "instruments/allocation_count.hpp"
#include "vla_rt/constraints/violation_counter.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/controller.hpp"

using namespace vla_rt;

namespace {

constexpr TimeNs kTick = 1'000'000, kRow = 50'000'000;

JointLimits limits(std::size_t n = 7) {
  const auto all = [n](double x) { return std::vector<double>(n, x); };
  return JointLimits::make(all(-2.7), all(2.7), all(2.62), all(10), all(5000));
}

CartesianConfig cartesian(ActionSpaceKind kind, int action_dim = 0) {
  CartesianConfig config;
  config.kinematics = vla_rt::testing::seven_joint_arm();
  config.action_space = kind;
  config.action_dim = action_dim;
  return config;
}

ControllerConfig with(const CartesianConfig& actions) {
  ControllerConfig config;
  config.executor.period_s = 0.05;
  config.executor.mode = ExecutionMode::Async;
  config.cartesian = actions;
  config.watchdog_s = 0;
  config.max_following_error = 0;
  return config;
}

// A controller, a robot that is where it is told to be, and the judge of its commands.
struct Rig {
  explicit Rig(const ControllerConfig& config, std::size_t n = 7)
      : controller(config, limits(n)), judge(limits(n), 1e-3), start(n, 0.8) {
    controller.reset(start);
    judge.reset(start);
    state.num_joints = static_cast<std::int32_t>(n);
    std::ranges::copy(start, state.position.begin());
  }
  Status tick() {
    now += kTick;
    state.time_ns = now;
    const Status status = controller.tick(now, state, command);
    std::copy_n(command.position.begin(), state.num_joints, state.position.begin());
    judge.add({command.position.data(), static_cast<std::size_t>(command.num_joints)});
    return status;
  }
  void tick(int n) {
    for (int i = 0; i < n; ++i) tick();
  }
  [[nodiscard]] Pose tool() const {
    return to_pose(vla_rt::testing::seven_joint_arm().forward({command.position.data(), 7}));
  }
  std::unique_ptr<ActionChunk> chunk(int rows, int dim) {
    auto made = std::make_unique<ActionChunk>();
    made->resize(rows, dim);
    std::fill_n(made->values.begin(), rows * dim, 0.0);
    made->sequence = ++sequence;
    made->start_time_ns = now;
    made->period_ns = kRow;
    return made;
  }

  Controller controller;
  ViolationCounter judge;
  std::vector<double> start;
  RobotState state;
  RobotCommand command;
  TimeNs now = 1'000'000'000;
  std::uint64_t sequence = 0;
};

double distance(const Pose& a, const Pose& b) {
  return std::hypot(a.position[0] - b.position[0], a.position[1] - b.position[1],
                    a.position[2] - b.position[2]);
}
double angle(const Pose& a, const Pose& b) {
  const Vector3 turn = rotation_between(a.rotation, b.rotation);
  return std::hypot(turn[0], turn[1], turn[2]);
}

}  // namespace

TEST_CASE("poses are met at their rows, whatever the signs and lengths of their quaternions") {
  std::mt19937_64 random(1);
  Rig rig(with(cartesian(ActionSpaceKind::EndEffectorPose)));
  rig.tick();
  const Pose start = rig.tool();
  const auto chunk = rig.chunk(20, 7);
  std::vector<Pose> rows(20);
  for (int t = 0; t < 20; ++t) {
    const double s = 0.5 * (1 - std::cos(M_PI * t / 19.0));
    rows[static_cast<std::size_t>(t)] =
        moved(start, {0.03 * s, -0.02 * s, 0.03 * s}, {0.2 * s, -0.1 * s, 0.2 * s}, DeltaFrame::Base);
    const Pose& pose = rows[static_cast<std::size_t>(t)];
    const double length = (random() % 2 == 0 ? 1 : -1) * (0.5 + static_cast<double>(random() % 100) / 100);
    for (std::size_t k = 0; k < 3; ++k) chunk->row(t)[k] = pose.position[k];
    for (std::size_t k = 0; k < 4; ++k) chunk->row(t)[3 + k] = length * pose.rotation[k];
  }
  REQUIRE(rig.controller.push(*chunk) == PushResult::Accepted);
  for (int t = 0; t < 20; ++t) {
    if (t > 0) rig.tick(50);
    CHECK(distance(rig.tool(), rows[static_cast<std::size_t>(t)]) < 5e-5);
    CHECK(angle(rig.tool(), rows[static_cast<std::size_t>(t)]) < 3e-4);
  }
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("deltas add up exactly, chunk after chunk, in both frames") {
  for (const DeltaFrame frame : {DeltaFrame::Base, DeltaFrame::Tool})
    for (const int gripper : {0, 1}) {
      CartesianConfig actions = cartesian(ActionSpaceKind::EndEffectorDelta, 6 + gripper);
      actions.delta_frame = frame;
      ControllerConfig config = with(actions);
      config.executor.mode = ExecutionMode::Receding;
      config.executor.execution_horizon = 4;
      Rig rig(config);
      rig.tick(10);
      Pose expected = rig.tool();
      const Vector3 step{0.002, -0.001, 0.0015}, turn{0.01, 0.005, -0.02};
      for (int c = 0; c < 5; ++c) {
        const auto chunk = rig.chunk(8, 6 + gripper);
        for (int t = 0; t < 8; ++t)
          for (std::size_t k = 0; k < 3; ++k) {
            chunk->row(t)[k] = step[k];
            chunk->row(t)[3 + k] = turn[k];
          }
        REQUIRE(rig.controller.push(*chunk) == PushResult::Accepted);
        for (int t = 0; t < 4; ++t) {  // four of its eight rows, then the next chunk
          rig.tick(50);
          expected = moved(expected, step, turn, frame);
        }
      }
      CHECK(distance(rig.tool(), expected) < 2e-4);
      CHECK(angle(rig.tool(), expected) < 2e-3);
      CHECK(rig.judge.total() == 0);
      // Nothing new comes: the other four deltas, and then rest.
      for (int t = 0; t < 4; ++t) expected = moved(expected, step, turn, frame);
      rig.tick(1000);
      CHECK(distance(rig.tool(), expected) < 2e-4);
    }
}

TEST_CASE("one delta per chunk moves the tool by that delta") {
  Rig rig(with(cartesian(ActionSpaceKind::EndEffectorDelta)));
  rig.tick(10);
  const Pose start = rig.tool();
  const auto chunk = rig.chunk(1, 7);
  chunk->row(0)[2] = 0.01;
  chunk->row(0)[5] = 0.05;
  REQUIRE(rig.controller.push(*chunk) == PushResult::Accepted);
  rig.tick(1000);
  CHECK(distance(rig.tool(), moved(start, {0, 0, 0.01}, {0, 0, 0.05}, DeltaFrame::Base)) < 1e-5);
}

TEST_CASE("what limits withhold from deltas does not pile up") {
  Rig rig(with(cartesian(ActionSpaceKind::EndEffectorDelta)));
  rig.tick(10);
  const auto push = [&](double dz) {
    const auto chunk = rig.chunk(2, 7);
    chunk->row(0)[2] = chunk->row(1)[2] = dz;
    REQUIRE(rig.controller.push(*chunk) == PushResult::Accepted);
    rig.tick(50);
  };
  for (int c = 0; c < 100; ++c) push(0.05);  // 5 m upwards: the arm is stretched out long before
  const double highest = rig.tool().position[2];
  for (int c = 0; c < 20; ++c) push(-0.02);
  CHECK(rig.tool().position[2] < highest - 0.1);  // it turns back at once, out of a singularity
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("a gripper is a joint of its own") {
  CartesianConfig actions = cartesian(ActionSpaceKind::EndEffectorPose, 8);
  actions.gripper = GripperJoint{7, 0.8, 0.3};
  Rig rig(with(actions), 8);
  rig.tick();
  const Pose start = rig.tool();
  const auto chunk = rig.chunk(10, 8);
  for (int t = 0; t < 10; ++t) {
    for (std::size_t k = 0; k < 3; ++k) chunk->row(t)[k] = start.position[k];
    for (std::size_t k = 0; k < 4; ++k) chunk->row(t)[3 + k] = start.rotation[k];
    chunk->row(t)[7] = t < 5 ? 0 : 1.5;  // beyond closed is closed
  }
  REQUIRE(rig.controller.push(*chunk) == PushResult::Accepted);
  rig.tick(150);
  CHECK(rig.command.position[7] == doctest::Approx(0.8).epsilon(0.05));
  rig.tick(800);
  CHECK(rig.command.position[7] == doctest::Approx(0.3));
  CHECK(distance(rig.tool(), start) < 1e-6);
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("a stop is followed and the plan taken up again from there") {
  Rig rig(with(cartesian(ActionSpaceKind::EndEffectorPose)));
  rig.tick();
  const Pose start = rig.tool();
  const auto push = [&] {
    const auto chunk = rig.chunk(40, 7);
    for (int t = 0; t < 40; ++t) {
      for (std::size_t k = 0; k < 4; ++k) chunk->row(t)[3 + k] = start.rotation[k];
      for (std::size_t k = 0; k < 3; ++k) chunk->row(t)[k] = start.position[k] - (k == 0 ? 0.003 * t : 0);
    }
    REQUIRE(rig.controller.push(*chunk) == PushResult::Accepted);
  };
  push();
  rig.tick(200);
  const double measured = rig.state.position[0];
  rig.state.position[0] = std::numeric_limits<double>::quiet_NaN();
  rig.now += kTick;
  rig.state.time_ns = rig.now;
  CHECK(rig.controller.tick(rig.now, rig.state, rig.command) == Status::NonFinite);
  rig.judge.add({rig.command.position.data(), 7});
  rig.state.position[0] = measured;
  rig.tick(300);
  CHECK(rig.judge.total() == 0);
  CHECK(rig.controller.follows_plan());
  CHECK(distance(rig.tool(), moved(start, {-0.003 * 501 / 50, 0, 0}, {}, DeltaFrame::Base)) < 5e-4);
}

TEST_CASE("the tick allocates nothing, the push neither") {
  for (const ActionSpaceKind kind : {ActionSpaceKind::EndEffectorPose, ActionSpaceKind::EndEffectorDelta}) {
    Rig rig(with(cartesian(kind)));
    rig.tick(10);
    const auto chunk = rig.chunk(8, 7);
    for (int t = 0; t < 8; ++t) chunk->row(t)[6] = chunk->row(t)[0] = 0.01 * t + 0.2;
    const long before = allocations();
    for (int c = 0; c < 20; ++c) {
      chunk->start_time_ns = rig.now;
      CHECK(rig.controller.push(*chunk) == PushResult::Accepted);
      rig.tick(100);
    }
    CHECK(allocations() == before);
    CHECK(rig.judge.total() == 0);
  }
}

TEST_CASE("what does not fit is refused by name, and changes nothing") {
  const auto refused = [](const auto& make, const std::string& what) {
    try {
      make();
    } catch (const ConfigError& error) {
      CHECK_MESSAGE(std::string(error.what()).find(what) != std::string::npos, error.what());
      return;
    }
    FAIL_CHECK("accepted: " << what);
  };
  const auto make = [](const ControllerConfig& config, std::size_t n = 7) {
    return [config, n] { Controller(config, limits(n)); };
  };
  ControllerConfig good = with(cartesian(ActionSpaceKind::EndEffectorPose));
  refused(make(good, 6), "kinematics = 7 joints: must be those of the robot, 6");
  refused(make(with(cartesian(ActionSpaceKind::JointPosition))), "action_space = joint_position");
  refused(make(with(cartesian(ActionSpaceKind::EndEffectorPose, 6))), "action_dim = 6");
  refused(make(with(cartesian(ActionSpaceKind::EndEffectorDelta, 8))), "action_dim = 8");
  ControllerConfig bad = good;
  bad.cartesian->gripper = GripperJoint{7, 0, 1};
  refused(make(bad, 8), "gripper = joint 7: has no number");
  bad = with(cartesian(ActionSpaceKind::EndEffectorDelta));
  bad.cartesian->gripper = GripperJoint{9, 0, 1};
  refused(make(bad, 8), "gripper.joint = 9: must be in 0..7");
  bad.cartesian->gripper = GripperJoint{7, 0, 5};
  refused(make(bad, 8), "gripper.closed_position = 5");
  bad.cartesian->gripper = GripperJoint{7, 1, 1};
  refused(make(bad, 8), "must differ from open_position");
  bad = good;
  bad.executor.on_starvation = StarvationPolicy::Decelerate;
  refused(make(bad), "on_starvation = decelerate");
  bad = good;
  bad.executor.discrete_dims = {3};
  refused(make(bad), "discrete_dims = 3");
  bad = with(cartesian(ActionSpaceKind::EndEffectorDelta));
  bad.executor.mode = ExecutionMode::Rtc;
  refused(make(bad), "mode = rtc");

  Rig rig(good);
  rig.tick();
  auto chunk = rig.chunk(4, 7);
  refused([&] { rig.controller.push(*chunk); }, "chunk[0][3] = a quaternion of length 0");
  for (int t = 0; t < 4; ++t) chunk->row(t)[6] = 1;
  chunk->row(2)[1] = std::numeric_limits<double>::infinity();
  refused([&] { rig.controller.push(*chunk); }, "chunk[2][1] = inf");
  chunk = rig.chunk(4, 6);
  refused([&] { rig.controller.push(*chunk); }, "action_dim = 6: must be that of the action space, 7");
  CHECK(rig.controller.chunk_sequence() == 0);
}
