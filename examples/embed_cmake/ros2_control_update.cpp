// A policy inside a controller of ros2_control's shape: the controller manager calls `update` once per cycle
// of its real-time thread; state and command interfaces are handles to one double each.
//
// Namespace `controller_interface` below only has the shape of that library, so that this builds without ROS.
// With ROS, delete it, include <controller_interface/controller_interface.hpp> and export the class as a
// plugin.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "arm_policy.hpp"

namespace controller_interface {

enum class return_type { OK, ERROR };
enum class CallbackReturn { SUCCESS, FAILURE };

class Handle {
 public:
  explicit Handle(double* value) : value_(value) {}
  [[nodiscard]] double get_value() const { return *value_; }
  void set_value(double value) { *value_ = value; }

 private:
  double* value_;
};

class ControllerInterface {
 public:
  virtual ~ControllerInterface() = default;
  virtual CallbackReturn on_configure() = 0;
  virtual CallbackReturn on_activate() = 0;
  virtual CallbackReturn on_deactivate() = 0;
  virtual return_type update(std::chrono::nanoseconds time, std::chrono::nanoseconds period) = 0;
  std::vector<Handle> state_interfaces_,
      command_interfaces_;  // position and velocity of each joint; position of each
};

}  // namespace controller_interface

namespace ci = controller_interface;

class PolicyController final : public ci::ControllerInterface {
 public:
  PolicyController(std::string package, const Joints& goal) : package_(std::move(package)), goal_(goal) {}

  ci::CallbackReturn on_configure() override try {
    policy_ = std::make_unique<ArmPolicy>(package_);
    policy_->set_goal(goal_);  // in ROS from a subscription, whose thread may lock
    return ci::CallbackReturn::SUCCESS;
  } catch (const vla_rt::VlaRtError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return ci::CallbackReturn::FAILURE;
  }

  ci::CallbackReturn on_activate() override try {
    read();
    policy_->start(position_);
    return ci::CallbackReturn::SUCCESS;
  } catch (const vla_rt::VlaRtError& error) {  // it stands outside the limits
    std::fprintf(stderr, "%s\n", error.what());
    return ci::CallbackReturn::FAILURE;
  }

  ci::CallbackReturn on_deactivate() override {
    policy_.reset();  // the worker ends; the command interfaces keep what the last `update` gave
    return ci::CallbackReturn::SUCCESS;
  }

  // `time` may be simulated or wall-clock time, which leaps; the tick reads the steady clock instead.
  ci::return_type update(std::chrono::nanoseconds, std::chrono::nanoseconds) override {
    read();
    const Joints command = policy_->tick(position_, velocity_);
    for (std::size_t j = 0; j < kJoints; ++j) command_interfaces_[j].set_value(command[j]);
    // After a fault the arm follows its certified stop; only then is the controller manager told.
    return policy_->finished() && policy_->status() == vla_rt::Status::Fault ? ci::return_type::ERROR
                                                                             : ci::return_type::OK;
  }

  void request_stop() noexcept { policy_->request_stop(); }
  [[nodiscard]] bool finished() const noexcept { return policy_->finished(); }

 private:
  void read() noexcept {
    for (std::size_t j = 0; j < kJoints; ++j) {
      position_[j] = state_interfaces_[2 * j].get_value();
      velocity_[j] = state_interfaces_[2 * j + 1].get_value();
    }
  }

  std::string package_;
  Joints goal_, position_{}, velocity_{};
  std::unique_ptr<ArmPolicy> policy_;
};

// The controller manager's part: 1000 cycles per second of read, update, write.
int main(int argc, char** argv) {
  Joints position{0, -0.4, 0, -2.0, 0, 1.6, 0.8}, velocity{}, command = position;
  const Joints goal{-0.5, 0.1, 0.3, -1.2, 0.2, 2.4, 0.0};
  PolicyController controller(argc > 1 ? argv[1] : "package", goal);
  for (std::size_t j = 0; j < kJoints; ++j) {
    controller.state_interfaces_.emplace_back(&position[j]);
    controller.state_interfaces_.emplace_back(&velocity[j]);
    controller.command_interfaces_.emplace_back(&command[j]);
  }
  if (controller.on_configure() != ci::CallbackReturn::SUCCESS ||
      controller.on_activate() != ci::CallbackReturn::SUCCESS)
    return 2;

  const std::chrono::milliseconds period(1);
  auto due = std::chrono::steady_clock::now();
  bool good = true;
  for (int cycle = 0; good && !controller.finished(); ++cycle) {
    if (cycle == 3000) controller.request_stop();
    good = controller.update(due.time_since_epoch(), period) == ci::return_type::OK;
    for (std::size_t j = 0; j < kJoints; ++j) {
      velocity[j] = 0.2 * (command[j] - position[j]) / 1e-3;
      position[j] += 0.2 * (command[j] - position[j]);
    }
    std::this_thread::sleep_until(due += period);
  }
  controller.on_deactivate();

  double worst = 0;
  for (std::size_t j = 0; j < kJoints; ++j) worst = std::max(worst, std::abs(position[j] - goal[j]));
  std::printf("%s, %.3f rad from the goal\n", good ? "ok" : "fault", worst);
  return good && worst < 0.05 ? 0 : 1;
}
