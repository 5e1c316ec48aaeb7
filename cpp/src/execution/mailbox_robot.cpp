#include "vla_rt/execution/mailbox_robot.hpp"

#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

MailboxRobot::MailboxRobot(int num_joints) : num_joints_(num_joints) {
  if (num_joints < 1 || num_joints > kMaxActionDim)
    throw ConfigError("num_joints", std::to_string(num_joints),
                      "must be in 1.." + std::to_string(kMaxActionDim));
}

MailboxRobot::~MailboxRobot() = default;

void MailboxRobot::post_state(const RobotState& state) noexcept VLA_RT_NONBLOCKING {
  states_.back() = state;
  states_.publish();
}

bool MailboxRobot::latest_command(RobotCommand& command) noexcept VLA_RT_NONBLOCKING {
  if (commands_.update()) command_seen_ = true;
  if (command_seen_) command = commands_.front();
  return command_seen_;
}

void MailboxRobot::fail(std::string_view reason) {
  const std::scoped_lock lock(failure_mutex_);
  if (failed_.load(std::memory_order_relaxed)) return;
  failure_ = reason.empty() ? "no reason given" : reason;
  failed_.store(true, std::memory_order_release);
}

ReadResult MailboxRobot::read(RobotState& state) noexcept {
  const bool fresh = states_.update();
  state_seen_ = state_seen_ || fresh;
  if (state_seen_) state = states_.front();
  if (failed_.load(std::memory_order_acquire)) return ReadResult::DriverError;
  if (!state_seen_) return ReadResult::NotReady;
  return fresh ? ReadResult::Fresh : ReadResult::Unchanged;
}

void MailboxRobot::write(const RobotCommand& command) noexcept {
  commands_.back() = command;
  commands_.publish();
}

void MailboxRobot::observe(const RobotState& state, Observation& observation) {
  Robot::observe(state, observation);
  features_.copy_to(observation);
}

std::string MailboxRobot::failure() const {
  const std::scoped_lock lock(failure_mutex_);
  return failure_;
}

}  // namespace vla_rt
