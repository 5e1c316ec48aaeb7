#pragma once
#include <memory>
#include <optional>
#include <span>

#include "vla_rt/action_space/action_space_spec.hpp"
#include "vla_rt/constraints/differential_ik.hpp"
#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/status.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/execution/chunk_executor.hpp"
#include "vla_rt/kinematics/kinematics.hpp"
#include "vla_rt/kinematics/pose.hpp"

namespace vla_rt {

/// The joint that opens and closes a robot's gripper: an action's gripper number g, 0 open .. 1 closed, asks
/// for open_position + g (closed_position - open_position).
struct GripperJoint {
  int joint = 0;             ///< among the robot's N joints; the others are the arm's, in order
  double open_position = 0;  ///< [rad] or [m]
  double closed_position = 0;
};

/// How actions of the tool move a robot.
struct CartesianConfig {
  Kinematics kinematics;  ///< of the arm's joints; actions are of its tip, in the frame of its base
  /// EndEffectorPose: x, y, z, quaternion x, y, z, w; EndEffectorDelta: dx, dy, dz, droll, dpitch, dyaw;
  /// either may be followed by the gripper.
  ActionSpaceKind action_space = ActionSpaceKind::EndEffectorPose;
  /// D: 7 or 8 for poses, 6 or 7 for deltas, the larger one with the gripper; 0: 7.
  int action_dim = 0;
  DeltaFrame delta_frame = DeltaFrame::Base;
  std::optional<GripperJoint> gripper;  ///< without one the gripper's number moves nothing
  DifferentialIkOptions ik;

  /// D, with 0 resolved.
  [[nodiscard]] int dimension() const noexcept { return action_dim == 0 ? 7 : action_dim; }
  [[nodiscard]] bool has_gripper_number() const noexcept {
    return dimension() == (action_space == ActionSpaceKind::EndEffectorPose ? 8 : 7);
  }
  /// Throws ConfigError for another action space, a D it does not have, or a gripper without its number.
  VLA_RT_API void validate() const;
};

/// Stage between ChunkExecutor and ConstraintEnforcer: chunks of tool actions become plans of tool poses, and
/// the plan's pose at a tick becomes joint targets by DifferentialIk.
///
/// A plan row holds position, unit quaternion and, where the action has it, the gripper's number. Quaternions
/// are normalised and get the sign that is nearer to the row before.
///
/// Deltas: row k of a chunk moves the tool during the period that begins with it, so a chunk of T deltas is a
/// plan of T + 1 poses. The first is the commanded tool pose (of the commands, not of the wish and not
/// measured) at the time of the observation that the chunk answers: what limits have withheld does not pile
/// up, and a servo's lag is not taken for motion.
///
/// Thread: `to_plan` the worker; `reset` while nothing else runs; the rest the ticking one.
class VLA_RT_API CartesianActions {
 public:
  /// Throws ConfigError for a bad configuration, a chain whose joints are not those of the limits less the
  /// gripper's, or a gripper outside the limits.
  CartesianActions(const CartesianConfig& config, const JointLimits& limits, double period_s);
  ~CartesianActions();
  CartesianActions(const CartesianActions&) = delete;
  CartesianActions& operator=(const CartesianActions&) = delete;

  /// The executor's configuration for plans instead of actions (its `action_dim` 0 or D, `discrete_dims`
  /// those of the action). Throws ConfigError for what plans of poses do not have: discrete dims but the
  /// gripper, Decelerate (the enforcer brings the joints to rest), Rtc with deltas (a plan of poses is
  /// nothing that deltas could continue).
  [[nodiscard]] static ChunkExecutorConfig executor_config(const CartesianConfig& config,
                                                           const ChunkExecutorConfig& executor);

  /// Starts at joint positions (N) within the limits. Returns the plan row there, valid until the next call.
  std::span<const double> reset(std::span<const double> position);

  /// A chunk of actions as one of plan rows. Throws ConfigError for a wrong action_dim, a number that is not
  /// finite or beyond kMaxCoordinate, a quaternion shorter than 0.1, or more than kMaxHorizon - 1 deltas.
  void to_plan(const ActionChunk& actions, ActionChunk& plan);

  /// Joint targets and velocities (N) for a plan row and its rate of change. Ok, Limited (the pose is not
  /// met), or NonFinite. Real-time: wait-free, no allocation.
  Status apply(std::span<const double> row, std::span<const double> rate, std::span<double> target,
               std::span<double> velocity) noexcept VLA_RT_NONBLOCKING;
  /// The robot follows something else, a stop: goes on from its command (N). Real-time: as `apply`.
  void follow(std::span<const double> command) noexcept VLA_RT_NONBLOCKING;
  /// The command of the tick at `now` (N), for the anchors of deltas. Real-time: as `apply`.
  void record(TimeNs now, std::span<const double> command) noexcept VLA_RT_NONBLOCKING;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
