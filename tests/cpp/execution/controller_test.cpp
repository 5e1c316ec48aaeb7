#include "vla_rt/execution/controller.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "execution/seven_joints.hpp"
#include "vla_rt/constraints/violation_counter.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr TimeNs kTick = 1'000'000;

// A controller on a robot that follows perfectly, with a judge on every command.
struct Rig {
  Controller controller;
  ViolationCounter judge;
  RobotState state;
  RobotCommand command;
  std::unique_ptr<ActionChunk> chunk = std::make_unique<ActionChunk>();
  TimeNs now = kNsPerSecond;
  bool follow = true;

  explicit Rig(const ControllerConfig& config = controller_config(), double position = 0)
      : controller(config, seven_joint_limits()), judge(seven_joint_limits(), config.period_s) {
    state.num_joints = kJoints;
    for (int j = 0; j < kJoints; ++j) state.position[static_cast<std::size_t>(j)] = position;
    reset();
  }
  void reset() {
    const std::span<const double> q{state.position.data(), kJoints};
    controller.reset(q);
    judge.reset(q);
  }
  Status tick() {
    now += kTick;
    state.time_ns = now;
    return tick_with_old_state();
  }
  Status tick_with_old_state() {
    const Status status = controller.tick(now, state, command);
    CHECK(command.status == status);
    REQUIRE(command.num_joints == kJoints);
    for (std::size_t j = 0; j < kJoints; ++j) REQUIRE(std::isfinite(command.position[j]));
    judge.add({command.position.data(), kJoints});
    if (follow) state.position = command.position;
    return status;
  }
  void run(int ticks) {
    for (int i = 0; i < ticks; ++i) tick();
  }
  void push_sine(int rows = 16) {
    fill_sine(*chunk, now, rows, 0.3, 0.4, kNsPerSecond);
    REQUIRE(controller.push(*chunk) == PushResult::Accepted);
  }
  [[nodiscard]] double speed() const {
    double worst = 0;
    for (std::size_t j = 0; j < kJoints; ++j) worst = std::max(worst, std::abs(command.velocity[j]));
    return worst;
  }
};

}  // namespace

TEST_CASE("a controller that was never reset faults and commands no motion") {
  Controller controller(controller_config(), seven_joint_limits());
  RobotState state;
  state.num_joints = kJoints;
  state.position[3] = 0.7;
  RobotCommand command;
  CHECK(controller.tick(kTick, state, command) == Status::Fault);
  CHECK(controller.fault().reason == FaultReason::NotReset);
  CHECK(command.position[3] == 0.7);
  CHECK(command.velocity[3] == 0);
  state.position[2] = kNan;
  CHECK(controller.tick(2 * kTick, state, command) == Status::Fault);
  CHECK(command.num_joints == 0);
  CHECK(command.position[2] == 0);
  state.position[2] = 0;
  controller.reset({state.position.data(), kJoints});
  state.time_ns = 3 * kTick;
  CHECK(controller.tick(3 * kTick, state, command) == Status::Starved);
  CHECK_FALSE(controller.faulted());
}

TEST_CASE("before the first chunk it holds, starved") {
  Rig rig({controller_config()}, 0.5);
  for (int i = 0; i < 100; ++i) CHECK(rig.tick() == Status::Starved);
  CHECK(rig.command.position[6] == 0.5);
  CHECK(rig.controller.at_rest());
}

TEST_CASE("a plan is followed to micrometres and its end is held") {
  Rig rig;
  rig.tick();
  rig.push_sine();
  rig.run(400);
  double worst = 0;
  for (int i = 0; i < 300; ++i) {
    CHECK(rig.tick() == Status::Ok);
    worst = std::max(worst, std::abs(rig.command.position[2] -
                                     0.3 * std::sin(2 * M_PI * 0.4 * to_seconds(rig.now - kNsPerSecond))));
  }
  CHECK(worst < 1e-3);
  rig.run(600);
  CHECK(rig.tick() == Status::Starved);
  CHECK(rig.speed() < 1e-6);
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("a measurement that is not finite stops the motion and clears by itself") {
  Rig rig;
  rig.tick();
  rig.push_sine(60);
  rig.run(200);
  REQUIRE(rig.speed() > 0.1);
  for (const double bad : {kNan, std::numeric_limits<double>::infinity()}) {
    RobotState good = rig.state;
    rig.follow = false;
    rig.state.position[4] = bad;
    for (int i = 0; i < 300; ++i) CHECK(rig.tick() == Status::NonFinite);
    CHECK(rig.controller.at_rest());
    rig.state = good;
    rig.state.position = rig.command.position;
    rig.follow = true;
    for (int i = 0; i < 100; ++i) CHECK(rig.tick() <= Status::Limited);
    CHECK(rig.speed() > 0.01);
  }
  rig.state.velocity[1] = kNan;
  CHECK(rig.tick() == Status::NonFinite);
  rig.state.velocity[1] = 0;
  rig.state.num_joints = 6;
  CHECK(rig.tick() == Status::NonFinite);
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("an old measurement, and one from another clock, is stale") {
  Rig rig;
  rig.tick();
  rig.push_sine();
  rig.run(200);
  const RobotState old = rig.state;
  int fresh = 0;
  for (int i = 0; i < 300; ++i) {
    rig.now += kTick;
    rig.state.time_ns = old.time_ns;
    if (rig.tick_with_old_state() < Status::Stale) ++fresh;
  }
  CHECK(fresh == 100);
  CHECK(rig.controller.at_rest());
  CHECK(rig.tick() < Status::Stale);
  rig.now += kTick;
  rig.state.time_ns = rig.now + 1000 * kNsPerSecond;
  CHECK(rig.tick_with_old_state() == Status::Stale);
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("refused input is shown as non-finite while the plan goes on") {
  Rig rig;
  rig.tick();
  rig.push_sine();
  rig.run(200);
  rig.controller.set_input_refused(true);
  CHECK(rig.tick() == Status::NonFinite);
  CHECK(rig.speed() > 0.1);
  rig.controller.set_input_refused(false);
  CHECK(rig.tick() <= Status::Limited);
}

TEST_CASE("a plan from an old observation is stale where a timeout is set") {
  ControllerConfig config = controller_config();
  config.plan_timeout_s = 0.2;
  Rig rig(config);
  rig.tick();
  rig.push_sine();
  rig.run(199);
  CHECK(rig.tick() <= Status::Limited);
  rig.run(1);
  for (int i = 0; i < 100; ++i) CHECK(rig.tick() == Status::Stale);
  CHECK(rig.controller.at_rest());
  rig.push_sine();
  CHECK(rig.tick() <= Status::Limited);
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("a following error latches a fault that names the joint") {
  Rig rig;
  rig.tick();
  rig.push_sine();
  rig.run(200);
  rig.follow = false;
  rig.state.position[5] += 0.6;
  CHECK(rig.tick() == Status::Fault);
  const Fault fault = rig.controller.fault();
  CHECK(fault.reason == FaultReason::FollowingError);
  CHECK(fault.joint == 5);
  CHECK(fault.value == doctest::Approx(0.6).epsilon(0.02));
  CHECK(fault.text().find("joint 5") != std::string::npos);
  rig.state.position[5] -= 0.6;
  rig.follow = true;
  rig.push_sine();
  for (int i = 0; i < 300; ++i) CHECK(rig.tick() == Status::Fault);
  CHECK(rig.controller.at_rest());
  CHECK(rig.judge.total() == 0);
  rig.reset();
  CHECK(rig.tick() == Status::Starved);
}

TEST_CASE("the first fault is the one that is told") {
  Rig rig;
  rig.tick();
  rig.controller.report_driver_error();
  rig.tick();
  const TimeNs found = rig.controller.fault().time_ns;
  rig.follow = false;
  rig.state.position[5] += 0.6;
  rig.run(10);
  CHECK(rig.controller.fault().reason == FaultReason::DriverError);
  CHECK(rig.controller.fault().time_ns == found);
}

TEST_CASE("a wish beyond the limits is limited, and reached as far as they go") {
  Rig rig;
  rig.tick();
  rig.chunk->resize(4, kJoints);
  rig.chunk->period_ns = 50'000'000;
  rig.chunk->start_time_ns = rig.now;
  std::fill_n(rig.chunk->values.begin(), 4 * kJoints, 6.0);
  rig.controller.push(*rig.chunk);
  int limited = 0;
  for (int i = 0; i < 150; ++i) limited += rig.tick() == Status::Limited;
  CHECK(limited > 100);
  CHECK(rig.controller.report().status == Status::Limited);
  rig.run(3000);
  CHECK(rig.command.position[3] == doctest::Approx(2.8).epsilon(1e-6));
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("the watchdog counts from the newest accepted chunk") {
  ControllerConfig config = controller_config();
  config.watchdog_s = 0.5;
  Rig rig(config);
  rig.run(400);
  rig.push_sine();
  rig.run(400);
  fill_sine(*rig.chunk, rig.now - 60 * kNsPerSecond);
  CHECK(rig.controller.push(*rig.chunk) == PushResult::Past);
  rig.run(100);
  CHECK_FALSE(rig.controller.faulted());
  rig.run(5);
  CHECK(rig.controller.fault().reason == FaultReason::Watchdog);
  rig.run(200);
  CHECK(rig.controller.at_rest());
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("no watchdog watches a motion that was asked to end") {
  ControllerConfig config = controller_config();
  config.watchdog_s = 0.1;
  Rig rig(config);
  rig.tick();
  rig.controller.request_stop();
  rig.run(500);
  CHECK_FALSE(rig.controller.faulted());
}

TEST_CASE("a driver error and a requested stop end at rest within the limits") {
  for (const bool driver : {true, false}) {
    Rig rig;
    rig.tick();
    rig.push_sine();
    rig.run(250);
    REQUIRE_FALSE(rig.controller.at_rest());
    if (driver)
      rig.controller.report_driver_error();
    else
      rig.controller.request_stop();
    CHECK(rig.controller.ending() == !driver);
    int ticks = 0;
    while (!rig.controller.at_rest() || ticks == 0) {
      CHECK((rig.tick() == Status::Fault) == driver);
      REQUIRE(++ticks < 500);
    }
    CHECK(rig.controller.ending());
    CHECK((rig.controller.fault().reason == FaultReason::DriverError) == driver);
    rig.push_sine();
    rig.run(100);
    CHECK(rig.controller.at_rest());
    CHECK(rig.judge.total() == 0);
  }
}

TEST_CASE("Fault is worse than NonFinite, NonFinite than Stale, Stale than Starved") {
  Rig rig;
  CHECK(rig.tick() == Status::Starved);
  rig.now += kNsPerSecond;
  CHECK(rig.tick_with_old_state() == Status::Stale);
  rig.controller.set_input_refused(true);
  CHECK(rig.tick_with_old_state() == Status::NonFinite);
  rig.controller.report_driver_error();
  CHECK(rig.tick_with_old_state() == Status::Fault);
}

TEST_CASE("a late tick moves the command by one nominal period") {
  Rig rig;
  rig.tick();
  rig.push_sine(32);
  rig.run(300);
  const double before = rig.command.position[0], speed = rig.command.velocity[0];
  rig.now += 50 * kTick;
  CHECK(rig.tick() <= Status::Limited);
  CHECK(std::abs(rig.command.position[0] - before) < 0.001 * (std::abs(speed) + 10 * 0.001) + 1e-9);
  rig.run(300);
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("late ticks are no spikes of acceleration") {
  // The sine's own acceleration peaks at 1.9 rad/s^2; asked for the true time, the plan would jump.
  Rig rig;
  rig.tick();
  rig.push_sine(128);
  double worst = 0, worst_wish = 0;
  for (int k = 0; k < 3000; ++k) {
    if (k > 500 && k % 400 == 0) rig.now += 8 * kTick;
    const double wish = rig.controller.target()[0];
    rig.tick();
    if (k < 500) continue;
    worst = std::max(worst, std::abs(rig.command.acceleration[0]));
    worst_wish = std::max(worst_wish, std::abs(rig.controller.target()[0] - wish));
  }
  CHECK(worst < 1.9 + 3.0);
  CHECK(worst > 1.5);
  CHECK(worst_wish < 1.2e-3);  // its velocity peaks at 0.75 rad/s
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("without a clock of its own the tick takes the measurement's, and goes on when that stands still") {
  Controller controller(controller_config(), seven_joint_limits());
  RobotState state;
  RobotCommand command;
  state.num_joints = kJoints;
  state.time_ns = 5 * kNsPerSecond;
  controller.reset({state.position.data(), kJoints});
  CHECK(controller.tick(state, command) == Status::Starved);
  CHECK(command.time_ns == 5 * kNsPerSecond);
  int before_stale = 0;
  while (controller.tick(state, command) != Status::Stale) ++before_stale;
  CHECK(before_stale == 100);
  state.time_ns = 6 * kNsPerSecond;
  CHECK(controller.tick(state, command) == Status::Starved);
  CHECK(command.time_ns == 6 * kNsPerSecond);
  state.time_ns = std::numeric_limits<TimeNs>::max();
  CHECK(controller.tick(state, command) == Status::Stale);
  CHECK(command.time_ns == 6 * kNsPerSecond + kTick);
}

TEST_CASE("a first state with a senseless stamp does not hold up the good ones for ever") {
  constexpr TimeNs lowest = std::numeric_limits<TimeNs>::min(), highest = std::numeric_limits<TimeNs>::max();
  for (const TimeNs first : {TimeNs{0}, TimeNs{4'000'000'000'000'000'000}, highest, lowest})
    for (const TimeNs uptime : {50 * kNsPerSecond, 100'000'000 * kNsPerSecond}) {
      CAPTURE(first);
      CAPTURE(uptime);
      Controller controller(controller_config(), seven_joint_limits());
      RobotState state;
      RobotCommand command;
      state.num_joints = kJoints;
      controller.reset({state.position.data(), kJoints});
      state.time_ns = first;
      (void)controller.tick(state, command);
      int stale = 0;
      for (int k = 1; k <= 200; ++k) {
        state.time_ns = uptime + k * kTick;
        stale += controller.tick(state, command) == Status::Stale;
      }
      CHECK(stale <= 100);
      CHECK(command.status == Status::Starved);
      CHECK(command.time_ns == state.time_ns);
    }
}

TEST_CASE("a refused reset leaves a running controller as it was") {
  Rig rig;
  rig.tick();
  rig.push_sine();
  rig.run(200);
  std::array<double, kJoints> outside{};
  outside[3] = 2.9;
  CHECK_THROWS_WITH_AS(rig.controller.reset(outside), doctest::Contains("position[3] = 2.9"), ConfigError);
  outside[3] = kNan;
  CHECK_THROWS_AS(rig.controller.reset(outside), ConfigError);
  CHECK_THROWS_AS(rig.controller.reset({outside.data(), 6}), ConfigError);
  CHECK(rig.tick() <= Status::Limited);
  CHECK(rig.judge.total() == 0);
}

TEST_CASE("whatever is measured and pushed, no command breaks a limit") {
  ControllerConfig config = controller_config();
  config.max_following_error = 0;
  config.executor.interpolation = Interpolation::Linear;
  config.executor.blend_s = 0;
  Rig rig(config);
  std::uint64_t seed = 1;
  const auto random = [&seed] {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<double>(seed >> 11) * 0x1p-53;
  };
  rig.follow = false;
  for (int i = 0; i < 20000; ++i) {
    if (random() < 0.02) {
      rig.chunk->resize(1 + static_cast<int>(random() * 20), kJoints);
      rig.chunk->period_ns = 50'000'000;
      rig.chunk->start_time_ns = rig.now - static_cast<TimeNs>(random() * 3e8);
      for (int t = 0; t < rig.chunk->horizon; ++t)
        for (double& q : rig.chunk->row(t)) q = (random() - 0.5) * (random() < 0.1 ? 1e6 : 6);
      rig.controller.push(*rig.chunk);
    }
    rig.state.position[0] = random() < 0.05 ? kNan : (random() - 0.5) * 1e3;
    rig.tick();
  }
  CHECK(rig.judge.total() == 0);
  CHECK(rig.judge.worst_ratio(1) > 0.5);
}

TEST_CASE("no late, repeated or backward tick, and no reset, breaks a limit") {
  Rig rig;
  std::uint64_t seed = 5;
  const auto random = [&seed] {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<double>(seed >> 11) * 0x1p-53;
  };
  std::int64_t violations = 0;
  int resets = 0;
  for (int i = 0; i < 20000; ++i) {
    const double fate = random();
    if (fate < 0.1) rig.now += static_cast<TimeNs>(random() * 200) * kTick;
    if (fate > 0.9) rig.now -= kTick;  // the same time again
    if (fate > 0.99) rig.now -= static_cast<TimeNs>(random() * 20) * kTick;
    if (random() < 0.01) {
      fill_sine(*rig.chunk, rig.now, 16, 6 * random(), 3 * random());
      rig.controller.push(*rig.chunk);
    }
    if (fate > 0.4 && fate < 0.401) {
      violations += rig.judge.total();
      rig.reset();
      ++resets;
    }
    rig.tick();
  }
  CHECK(violations + rig.judge.total() == 0);
  CHECK(resets > 5);
  CHECK(rig.judge.worst_ratio(1) > 0.3);
}

TEST_CASE("walls hold in the controller, too, and its enforcer tells what it limited") {
  const char* sledge =
      "<robot name='r'><link name='base'/><link name='tool'/><joint name='j' type='prismatic'>"
      "<parent link='base'/><child link='tool'/><axis xyz='1 0 0'/>"
      "<limit lower='-3' upper='3' velocity='2'/></joint></robot>";
  ControllerConfig config = controller_config();
  Workspace wall;
  wall.upper[0] = 0.5;
  config.surroundings.workspaces.push_back(wall);
  const double low = -1, high = 1, v = 2, a = 10, jerk = 5000;
  const JointLimits limits = JointLimits::make({&low, 1}, {&high, 1}, {&v, 1}, {&a, 1}, {&jerk, 1});
  CHECK_THROWS_AS(Controller(config, limits), ConfigError);  // where is the tool?
  config.kinematics = Kinematics::from_urdf_text(sledge, "tool");
  Controller controller(config, limits);
  const double outside = 0.6, start = 0;
  CHECK_THROWS_AS(controller.reset({&outside, 1}), ConfigError);
  controller.reset({&start, 1});
  const auto chunk = std::make_unique<ActionChunk>();
  chunk->resize(16, 1);
  chunk->period_ns = 50'000'000;
  chunk->start_time_ns = kNsPerSecond;
  for (int t = 0; t < 16; ++t) chunk->row(t)[0] = 0.1 * t;
  RobotState state;
  state.num_joints = 1;
  RobotCommand command;
  for (TimeNs now = kNsPerSecond; now < 2 * kNsPerSecond; now += kTick) {
    if (now == kNsPerSecond) REQUIRE(controller.push(*chunk) == PushResult::Accepted);
    state.time_ns = now;
    controller.tick(now, state, command);
    REQUIRE(command.position[0] < 0.5);
    state.position = command.position;
  }
  CHECK(command.position[0] > 0.499);
  CHECK(controller.enforcer().ticks_limited(0, Cause::Workspace) > 100);
  CHECK(controller.enforcer().log_count() > 0);
}

TEST_CASE("a bad configuration is one error with field, value and bound") {
  const auto refusal = [](auto change) {
    ControllerConfig config = controller_config();
    change(config);
    try {
      Controller controller(config, seven_joint_limits());
    } catch (const ConfigError& error) {
      return error.name() + "|" + error.value();
    }
    return std::string("accepted");
  };
  CHECK(refusal([](auto& c) { c.period_s = 0; }) == "period_s|0");
  CHECK(refusal([](auto& c) { c.period_s = kNan; }) == "period_s|nan");
  CHECK(refusal([](auto& c) { c.state_timeout_s = -1; }) == "state_timeout_s|-1");
  CHECK(refusal([](auto& c) { c.plan_timeout_s = kNan; }) == "plan_timeout_s|nan");
  CHECK(refusal([](auto& c) { c.max_following_error = -0.1; }) == "max_following_error|-0.1");
  CHECK(refusal([](auto& c) { c.watchdog_s = INFINITY; }) == "watchdog_s|inf");
  CHECK(refusal([](auto& c) { c.executor.action_dim = 6; }) == "action_dim|6");
  CHECK(refusal([](auto& c) { c.executor.blend_s = -1; }).substr(0, 7) == "blend_s");
  CHECK(refusal([](auto&) {}) == "accepted");
}
