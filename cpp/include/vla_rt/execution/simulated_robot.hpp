#pragma once
#include <array>
#include <span>

#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/robot.hpp"
#include "vla_rt/execution/feature_board.hpp"

namespace vla_rt {

/// How the joints of a SimulatedRobot follow their commands.
struct ServoModel {
  double natural_frequency_hz = 20.0;  ///< of the undamped servo
  double damping_ratio = 1.0;          ///< 1 is critically damped
  double period_s = 0.001;             ///< motion per `write`
};

/// Joints that follow the commanded position as damped second-order servos: x'' = w^2 (u - x) - 2 z w x'.
///
/// Deterministic: every `write` moves time by exactly `period_s`, solved exactly for the command held over
/// it; no clock is read but once, for the first state. A state is stamped with the time its command was made
/// for plus the period. Real-time: `read` and `write` are wait-free and allocate nothing.
class VLA_RT_API SimulatedRobot : public Robot {
 public:
  /// `position` (N) [rad or m], where it stands at rest. Throws ConfigError for bad limits, a position that
  /// is not finite or outside them, or a servo number that is not finite and > 0.
  SimulatedRobot(const JointLimits& limits, std::span<const double> position, const ServoModel& servo = {});
  ~SimulatedRobot() override;

  [[nodiscard]] const JointLimits& limits() const noexcept { return limits_; }
  [[nodiscard]] TimeNs period_ns() const noexcept { return period_ns_; }
  /// Goals, images and the like for the policy; see FeatureBoard. Thread: any.
  [[nodiscard]] FeatureBoard& features() noexcept { return features_; }

  [[nodiscard]] int num_joints() const noexcept override { return limits_.num_joints; }
  [[nodiscard]] ReadResult read(RobotState& state) noexcept override;
  void write(const RobotCommand& command) noexcept override;
  void observe(const RobotState& state, Observation& observation) override;
  void start() override;

 private:
  JointLimits limits_;
  TimeNs period_ns_;
  // Over one period with command u: e' = a e + b v, v' = c e + d v for e = x - u.
  double a_, b_, c_, d_;
  RobotState state_;
  bool fresh_ = true;
  FeatureBoard features_;
};

}  // namespace vla_rt
