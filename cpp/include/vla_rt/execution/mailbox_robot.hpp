#pragma once
#include <atomic>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/robot.hpp"
#include "vla_rt/execution/feature_board.hpp"
#include "vla_rt/rt/triple_buffer.hpp"

namespace vla_rt {

/// The boundary a driver with a cycle of its own plugs into: two wait-free mailboxes, state in, command out.
///
/// The driver posts what it measured and takes the newest command whenever its own cycle wants one; neither
/// side ever waits for the other. A vendor callback in C++ and a simulator thread in Python use the same
/// calls.
class VLA_RT_API MailboxRobot : public Robot {
 public:
  /// Throws ConfigError unless 1 <= num_joints <= kMaxActionDim.
  explicit MailboxRobot(int num_joints);
  ~MailboxRobot() override;
  MailboxRobot(const MailboxRobot&) = delete;
  MailboxRobot& operator=(const MailboxRobot&) = delete;

  /// @name Driver side
  /// @{
  /// Hands over a measurement. `time_ns` is when it was measured, on the steady clock.
  /// Real-time: wait-free, no allocation. Thread: one driver thread.
  void post_state(const RobotState& state) noexcept VLA_RT_NONBLOCKING;
  /// Copies the newest command; false (and `command` untouched) when none was ever written.
  /// Real-time: wait-free, no allocation. Thread: one driver thread.
  [[nodiscard]] bool latest_command(RobotCommand& command) noexcept VLA_RT_NONBLOCKING;
  /// Goals, images and the like for the policy; see FeatureBoard. Real-time: no. Thread: any.
  [[nodiscard]] FeatureBoard& features() noexcept { return features_; }
  /// Reports that the driver can go on no longer: the controller faults and stops. The first reason stays.
  /// Real-time: no (locks). Thread: any.
  void fail(std::string_view reason);
  /// @}

  [[nodiscard]] int num_joints() const noexcept override { return num_joints_; }
  [[nodiscard]] ReadResult read(RobotState& state) noexcept override;
  void write(const RobotCommand& command) noexcept override;
  void observe(const RobotState& state, Observation& observation) override;
  [[nodiscard]] std::string failure() const override;

 private:
  int num_joints_;
  TripleBuffer<RobotState> states_;
  TripleBuffer<RobotCommand> commands_;
  bool state_seen_ = false;    // control thread
  bool command_seen_ = false;  // driver thread
  FeatureBoard features_;
  std::atomic<bool> failed_{false};
  mutable std::mutex failure_mutex_;
  std::string failure_;
};

}  // namespace vla_rt
