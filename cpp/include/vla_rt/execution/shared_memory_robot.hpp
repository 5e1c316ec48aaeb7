#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/robot.hpp"
#include "vla_rt/execution/feature_board.hpp"

namespace vla_rt {

/// A robot whose driver is another process, in any language, behind POSIX shared memory; see shared_memory.h
/// for the layout and examples/shared_memory_driver for a driver in C.
///
/// What the driver says is taken as hostile: a torn state, one that goes back in time or sequence, or words
/// that never settle are refused after a few tries and counted, and the state before stays in force, so that
/// the controller sees it grow stale and stops. A heartbeat that stands still, or nothing but refused states,
/// for `timeout_s` is a driver error: the certified stop, latched. Should this process die instead, the
/// driver brings the robot to rest by the stop that every command carries.
class VLA_RT_API SharedMemoryRobot : public Robot {
 public:
  /// Opens the segment that a driver made. Throws ConfigError for a name that is not one of a segment or a
  /// timeout outside (0, 60] s, VlaRtError when there is no such segment, FormatError naming the field when
  /// it is not of this layout or its limits are none.
  explicit SharedMemoryRobot(const std::string& name, double timeout_s = 0.1);
  ~SharedMemoryRobot() override;

  /// Of the joints, as the driver stated them when this was made.
  [[nodiscard]] const JointLimits& limits() const noexcept;
  /// Goals, images and the like for the policy; see FeatureBoard. Thread: any.
  [[nodiscard]] FeatureBoard& features() noexcept;
  /// States refused since `start`.
  [[nodiscard]] std::uint64_t refused() const noexcept;

  [[nodiscard]] int num_joints() const noexcept override;
  [[nodiscard]] ReadResult read(RobotState& state) noexcept override;
  void write(const RobotCommand& command) noexcept override;
  void observe(const RobotState& state, Observation& observation) override;
  [[nodiscard]] std::string failure() const override;
  /// Opens the segment anew (the driver may have been restarted) and begins a session. Throws as the
  /// constructor, and VlaRtError when another controller uses it or the joints or limits are no longer the
  /// same.
  void start() override;
  void stop() noexcept override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
