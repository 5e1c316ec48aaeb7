// tick_counter.cpp KIND [LOOPS]: 400 ticks of a seven-joint controller, one hundred chunks in between, for
// callgrind: each tick between COUNTED_TICK's call and return.
//
//   still     no chunk ever
//   sine      smooth chunks, cross-faded
//   noise     rows and velocities no joint can follow
//   bad       every third measurement NaN, late or from the future; a fault in the end
//   crowded   among walls and obstacles, capsules on every link, noisy chunks
//
// LOOPS additions are planted into every tick, where a user's own collision check is called.
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>

#include "constraints/seven_joint_arm.hpp"
#include "execution/seven_joints.hpp"
#include "vla_rt/execution/controller.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

extern "C" __attribute__((noinline)) Status COUNTED_TICK(Controller& controller, TimeNs now,
                                                         const RobotState& state, RobotCommand& command) {
  return controller.tick(now, state, command);
}

namespace {

constexpr TimeNs kMs = 1'000'000;

class Loop final : public StateCheck {
 public:
  explicit Loop(int count) : count_(count) {}
  [[nodiscard]] bool is_free(std::span<const double>) const noexcept VLA_RT_NONBLOCKING override {
    volatile double sum = 0;
    for (int k = 0; k < count_; ++k) sum = sum + k;
    return true;
  }

 private:
  int count_;
};

Surroundings crowd(const Kinematics& arm) {
  CollisionShapes shapes;
  for (int k = 1; k <= 7; ++k)
    shapes.capsules.push_back(
        {.start = {0, 0, 0}, .end = {0, 0, 0.15}, .radius = 0.05, .link = "link" + std::to_string(k)});
  shapes.world_capsules.push_back(
      {.start = {0.8, -1, 0.6}, .end = {0.8, 1, 0.6}, .radius = 0.05, .link = {}});
  WorldBox box;
  box.pose.translation = {-0.8, 0, 0.8};
  box.half_size = {0.1, 0.5, 0.5};
  shapes.world_boxes.push_back(box);
  shapes.world_half_spaces.push_back({.normal = {0, 0, 1}, .offset = -0.2});
  Workspace tool;
  tool.lower = {-1, -1, 0};
  tool.upper = {0.7, 0.9, 1.6};
  return {.workspaces = {tool}, .collision = CollisionModel(arm, shapes), .check = nullptr};
}

void fill(ActionChunk& chunk, TimeNs now, bool noisy, std::mt19937& generator) {
  fill_sine(chunk, now, 16, 0.3, 0.4);
  std::uniform_real_distribution<double> anywhere(-2.7, 2.7);
  if (!noisy) return;
  for (int t = 0; t < 16; ++t)
    for (double& value : chunk.row(t)) value = anywhere(generator);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::string kind = argv[1];
  const int loops = argc > 2 ? std::atoi(argv[2]) : 0;
  ControllerConfig config = controller_config();
  config.executor.mode = ExecutionMode::Async;
  if (kind == "crowded" || loops > 0) {
    config.kinematics = seven_joint_arm();
    if (kind == "crowded") config.surroundings = crowd(*config.kinematics);
    if (loops > 0) config.surroundings.check = std::make_shared<Loop>(loops);
  }
  Controller controller(config, seven_joint_limits());
  controller.reset(std::array<double, kJoints>{0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1});
  std::mt19937 generator(3);
  ActionChunk chunk;
  RobotState state;
  RobotCommand command;
  state.num_joints = kJoints;
  state.position.fill(0.1);
  for (int k = 1; k <= 400; ++k) {
    const TimeNs now = 1'000'000'000 + k * kMs;
    if (kind != "still" && k % 4 == 1) {
      fill(chunk, now, kind == "noise" || kind == "crowded", generator);
      chunk.sequence = static_cast<std::uint64_t>(k);
      controller.push(chunk);
    }
    state.time_ns = now;
    if (k > 1) state.position = command.position;
    if (kind == "bad" && k % 3 == 0) {
      state.position[2] = std::numeric_limits<double>::quiet_NaN();
      state.time_ns += (k % 2 == 0 ? -1000 : 1000) * kMs;
    }
    if (kind == "bad" && k == 300) controller.report_driver_error();
    COUNTED_TICK(controller, now, state, command);
  }
}
