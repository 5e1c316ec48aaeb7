#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include <vla_rt/core/errors.hpp>
#include <vla_rt/core/time.hpp>
#include <vla_rt/execution/controller.hpp>
#include <vla_rt/execution/inference_worker.hpp>
#include <vla_rt/execution/mailbox_robot.hpp>
#include <vla_rt/execution/policy_source.hpp>
#include <vla_rt/package/policy.hpp>

// What both examples share: a policy package that drives seven joints from within somebody else's callback.

inline constexpr std::size_t kJoints = 7;
using Joints = std::array<double, kJoints>;

/// Of the arm, as its data sheet says.
inline vla_rt::JointLimits arm_limits() {
  const Joints low{-2.7, -1.7, -2.8, -3.0, -2.7, 0.1, -2.9}, high{2.7, 1.7, 2.8, -0.1, 2.7, 4.4, 2.9},
      velocity{2, 1, 1.5, 1.25, 3, 1.5, 3}, acceleration{10, 10, 10, 10, 10, 10, 10},
      jerk{1000, 1000, 1000, 1000, 1000, 1000, 1000};
  return vla_rt::JointLimits::make(low, high, velocity, acceleration, jerk);
}

/// Inference in a thread of its own, the tick in the caller's.
class ArmPolicy {
 public:
  /// Throws what `Policy::load` throws for a bad package.
  explicit ArmPolicy(const std::filesystem::path& package)
      : policy_(vla_rt::Policy::load(package)),
        controller_(config_for(*policy_), arm_limits()),
        board_(std::make_shared<vla_rt::MailboxRobot>(static_cast<int>(kJoints))),
        worker_(board_, std::make_shared<vla_rt::PolicySource>(policy_), controller_, {}) {}

  /// What the policy sees besides the joints. Real-time: no.
  void set_goal(std::span<const double> goal) { board_->features().post("goal", goal); }

  /// From rest at `position`. Real-time: no. Throws ConfigError when that is outside the limits.
  void start(const Joints& position) {
    controller_.reset(position);
    worker_.start();
  }

  /// Call once per millisecond from the control callback. Real-time: wait-free, no allocation, no system
  /// call.
  Joints tick(const Joints& position, const Joints& velocity) noexcept {
    const vla_rt::TimeNs now = vla_rt::steady_now();
    state_.time_ns = now;
    ++state_.sequence;
    state_.num_joints = kJoints;
    std::copy(position.begin(), position.end(), state_.position.begin());
    std::copy(velocity.begin(), velocity.end(), state_.velocity.begin());
    status_ = controller_.tick(now, state_, command_);
    worker_.post_state(state_);
    Joints result{};
    std::copy_n(command_.position.begin(), kJoints, result.begin());
    return result;
  }

  /// From the next tick on: the certified stop. Any thread.
  void request_stop() noexcept { controller_.request_stop(); }
  /// True once a stop, asked for or by a fault, has come to rest.
  [[nodiscard]] bool finished() const noexcept { return controller_.ending() && controller_.at_rest(); }
  [[nodiscard]] vla_rt::Status status() const noexcept { return status_; }
  [[nodiscard]] vla_rt::Fault fault() const noexcept { return controller_.fault(); }
  [[nodiscard]] vla_rt::InferenceStats inference() const { return worker_.stats(); }

 private:
  static vla_rt::ControllerConfig config_for(const vla_rt::Policy& policy) {
    vla_rt::ControllerConfig config;
    config.executor.period_s = policy.spec().period_s;
    config.executor.execution_horizon = policy.spec().execution_horizon;
    config.executor.mode = vla_rt::ExecutionMode::Async;
    return config;
  }

  std::shared_ptr<vla_rt::Policy> policy_;
  vla_rt::Controller controller_;
  std::shared_ptr<vla_rt::MailboxRobot> board_;
  vla_rt::InferenceWorker worker_;  // after what it uses: it ends first
  vla_rt::RobotState state_;
  vla_rt::RobotCommand command_;
  vla_rt::Status status_ = vla_rt::Status::Ok;
};
