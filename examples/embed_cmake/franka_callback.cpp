// A policy inside a control callback of libfranka's shape: `robot.control(callback)` calls it every
// millisecond with the measured state and takes joint positions until one is marked as the last.
//
// Namespace `arm` below only has the shape of that library, so that this builds without it. With libfranka,
// delete it, include <franka/robot.h> and write `franka::` for `arm::`.
#include <sys/mman.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "arm_policy.hpp"

namespace arm {

struct RobotState {
  Joints q{}, dq{}, q_d{};  // measured position and velocity, commanded position
};
struct JointPositions {
  Joints q{};
  bool motion_finished = false;
};
inline JointPositions MotionFinished(JointPositions last) {
  last.motion_finished = true;
  return last;
}

class Robot {
 public:
  [[nodiscard]] RobotState readOnce() const { return state_; }
  void control(const std::function<JointPositions(const RobotState&, std::chrono::milliseconds)>& callback) {
    auto due = std::chrono::steady_clock::now();
    for (bool done = false; !done;) {
      const JointPositions command = callback(state_, std::chrono::milliseconds(1));
      done = command.motion_finished;
      for (std::size_t j = 0; j < kJoints; ++j) {  // joints follow their command within a few milliseconds
        const double next = state_.q[j] + 0.2 * (command.q[j] - state_.q[j]);
        state_.dq[j] = (next - state_.q[j]) / 1e-3;
        state_.q[j] = next;
      }
      state_.q_d = command.q;
      std::this_thread::sleep_until(due += std::chrono::milliseconds(1));
    }
  }

 private:
  RobotState state_{.q = {0, -0.4, 0, -2.0, 0, 1.6, 0.8}, .q_d = {0, -0.4, 0, -2.0, 0, 1.6, 0.8}};
};

}  // namespace arm

namespace {

// Most memory this process ever had in use [MB].
double peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string package = argc > 1 ? argv[1] : "package";
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
    std::printf("memory is not locked: %s\n", std::strerror(errno));

  arm::Robot robot;
  ArmPolicy policy(package);
  const Joints goal{0.6, 0.2, -0.4, -1.5, 0.3, 2.0, 0.2};
  policy.set_goal(goal);
  policy.start(robot.readOnce().q_d);

  int ticks = 0;
  robot.control([&](const arm::RobotState& state, std::chrono::milliseconds) {
    const arm::JointPositions command{policy.tick(state.q, state.dq)};
    if (++ticks == 3000) policy.request_stop();  // the task is over; a fault ends it earlier
    return policy.finished() ? arm::MotionFinished(command) : command;
  });

  double worst = 0;
  for (std::size_t j = 0; j < kJoints; ++j)
    worst = std::max(worst, std::abs(robot.readOnce().q[j] - goal[j]));
  const vla_rt::InferenceStats inference = policy.inference();
  std::printf("%d ticks, %llu chunks, %.3f rad from the goal, %.1f MB\n", ticks,
              static_cast<unsigned long long>(inference.chunks), worst, peak_memory());
  if (policy.fault().reason != vla_rt::FaultReason::None)
    std::printf("fault: %s\n", policy.fault().text().c_str());
  if (!inference.last_error.empty()) std::printf("inference: %s\n", inference.last_error.c_str());
  return worst < 0.05 ? 0 : 1;
} catch (const vla_rt::VlaRtError& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 2;
}
