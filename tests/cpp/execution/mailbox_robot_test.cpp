#include "vla_rt/execution/mailbox_robot.hpp"

#include <doctest/doctest.h>

#include <array>
#include <thread>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

TEST_CASE("a mailbox robot hands over the newest state and says whether it is new") {
  MailboxRobot robot(2);
  RobotState state;
  state.position[0] = 9;
  CHECK(robot.read(state) == ReadResult::NotReady);
  CHECK(state.position[0] == 9);

  RobotState posted;
  posted.num_joints = 2;
  for (int i = 1; i <= 3; ++i) {
    posted.sequence = static_cast<std::uint64_t>(i);
    posted.position = {0.1 * i, -0.1 * i};
    robot.post_state(posted);
  }
  CHECK(robot.read(state) == ReadResult::Fresh);
  CHECK(state.sequence == 3);
  CHECK(state.position[1] == doctest::Approx(-0.3));
  state = {};
  CHECK(robot.read(state) == ReadResult::Unchanged);
  CHECK(state.sequence == 3);
}

TEST_CASE("a mailbox robot's driver sees the newest command, and none before the first") {
  MailboxRobot robot(1);
  RobotCommand command;
  CHECK_FALSE(robot.latest_command(command));
  RobotCommand written;
  written.num_joints = 1;
  written.sequence = 4;
  written.position[0] = 0.5;
  robot.write(written);
  CHECK(robot.latest_command(command));
  CHECK(command.position[0] == 0.5);
  command = {};
  CHECK(robot.latest_command(command));
  CHECK(command.sequence == 4);
}

TEST_CASE("a driver error is told on every read, with the first reason") {
  MailboxRobot robot(1);
  robot.fail("cable");
  robot.fail("later");
  RobotState state;
  CHECK(robot.read(state) == ReadResult::DriverError);
  CHECK(robot.read(state) == ReadResult::DriverError);
  CHECK(robot.failure() == "cable");
}

TEST_CASE("features reach the observation beside the joints") {
  MailboxRobot robot(2);
  robot.features().post("goal", std::array{1.0, 2.0, 3.0});
  RobotState state;
  state.num_joints = 2;
  state.time_ns = 77;
  state.position = {0.25, 0.5};
  Observation observation;
  robot.observe(state, observation);
  CHECK(observation.time_ns == 77);
  CHECK(static_cast<const float*>(observation.at("observation.state").data)[1] == 0.5f);
  CHECK(observation.at("goal").shape[0] == 3);
  robot.features().post("goal", std::array{4.0});
  robot.observe(state, observation);
  CHECK(observation.at("goal").shape[0] == 1);
  CHECK(static_cast<const float*>(observation.at("goal").data)[0] == 4.0f);
}

TEST_CASE("states are never torn between a driver thread and the control thread") {
  MailboxRobot robot(kMaxActionDim);
  constexpr int kPosts = 20000;
  std::thread driver([&robot] {
    RobotState state;
    state.num_joints = kMaxActionDim;
    for (int i = 1; i <= kPosts; ++i) {
      state.sequence = static_cast<std::uint64_t>(i);
      state.position.fill(i);
      state.velocity.fill(-i);
      robot.post_state(state);
    }
  });
  RobotState state;
  std::uint64_t last = 0;
  bool torn = false, backwards = false;
  while (last < kPosts) {
    if (robot.read(state) != ReadResult::Fresh) continue;
    backwards = backwards || state.sequence < last;
    last = state.sequence;
    for (std::size_t j = 0; j < kMaxActionDim; ++j)
      torn = torn || state.position[j] != static_cast<double>(last) ||
             state.velocity[j] != -static_cast<double>(last);
  }
  driver.join();
  CHECK_FALSE(torn);
  CHECK_FALSE(backwards);
}

TEST_CASE("a mailbox robot needs joints") {
  CHECK_THROWS_WITH_AS(MailboxRobot(0), "num_joints = 0: must be in 1..64", ConfigError);
  CHECK_THROWS_AS(MailboxRobot(65), ConfigError);
}
