#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "vla_rt/constraints/collision_model.hpp"
#include "vla_rt/constraints/enforcer_report.hpp"
#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/constraints/state_check.hpp"
#include "vla_rt/constraints/workspace.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/status.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace vla_rt {

/// How the enforcer follows targets; its limits hold whatever these are.
struct EnforcerOptions {
  /// Slows all joints by one common time scale while any of them is saturated, so that a move from rest is a
  /// straight line in joint space; clipping joint by joint is the last resort.
  bool path_preserving = false;
  /// Time constant [s] of target smoothing for noisy targets, 0 (off) to 0.05. What it costs in lag is in
  /// docs/safety.md; a constant target acceleration is followed without lag. The target's velocity
  /// is then estimated from its positions, and a feed-forward is not used.
  double smoothing_s = 0;
};

/// What the robot must keep away from, besides its own limits.
struct Surroundings {
  std::vector<Workspace> workspaces;
  std::optional<CollisionModel> collision;
  std::shared_ptr<const StateCheck> check;  ///< a check of the user's own, or null
  /// Which joints of the limits those of the chain are, in its order; empty: all of them. The others, such as
  /// a gripper's, are filtered alone.
  std::vector<int> chain_joints{};
};

/// What an enforcer without surroundings carries from one tick to the next; for recordings. Means something
/// to the same build of this library only.
struct EnforcerSnapshot {
  struct Joint {
    double q = 0, v = 0, a = 0;
    std::array<unsigned char, 72> follower{};  ///< what was learnt of its target
  };
  std::int32_t num_joints = 0;
  std::array<Joint, kMaxActionDim> joints{};
};

/// Turns any stream of targets into commands that respect position, velocity, acceleration and jerk limits at
/// once.
///
/// Invariant: after every call a certified stop (ending at velocity 0, acceleration 0) exists from the
/// commanded state that respects all limits; the next command is accepted only if the same is true after it,
/// otherwise it is mixed with that stop as far as needed. So no input, however late, wild or NaN, can break a
/// limit. The proof and what it does not cover: docs/safety.md.
///
/// Time is nominal: every call advances the commanded state by exactly `period_s`, also when the tick was
/// late. Real-time: what is marked VLA_RT_NONBLOCKING is wait-free and allocates nothing; the rest is set-up.
/// Thread: one thread at a time.
class VLA_RT_API ConstraintEnforcer {
 public:
  /// Entries the wish log holds; older ones are overwritten.
  static constexpr int kLogCapacity = 256;

  /// Throws ConfigError for bad limits, a period that is not in [1e-6, 1] s, or bad options.
  ConstraintEnforcer(const JointLimits& limits, double period_s, bool path_preserving = false);
  ConstraintEnforcer(const JointLimits& limits, double period_s, const EnforcerOptions& options);
  /// Also keeps the points of the workspaces inside their walls and the shapes of the collision model apart,
  /// at and between ticks, while moving and over the whole stop in hand: the mix of wish and stop is then
  /// common to all joints. Keeps 0.1 mm from everything at rest and 0.01 mm in motion. Near a wall the target
  /// is moved onto it, so that the robot slides along instead of stopping.
  /// Throws ConfigError also for bad surroundings, for kinematics of another number of joints than
  /// `chain_joints` (or the limits) have, and for a collision model of another chain.
  ConstraintEnforcer(const JointLimits& limits, double period_s, const EnforcerOptions& options,
                     const Kinematics& kinematics, const Surroundings& surroundings);
  ~ConstraintEnforcer();
  ConstraintEnforcer(const ConstraintEnforcer&) = delete;
  ConstraintEnforcer& operator=(const ConstraintEnforcer&) = delete;
  ConstraintEnforcer(ConstraintEnforcer&&) noexcept;
  ConstraintEnforcer& operator=(ConstraintEnforcer&&) noexcept;

  [[nodiscard]] int num_joints() const noexcept;
  [[nodiscard]] double period_s() const noexcept;
  /// The limits asked for last.
  [[nodiscard]] const JointLimits& limits() const noexcept;
  [[nodiscard]] const EnforcerOptions& options() const noexcept;

  /// Starts from a commanded state (each (N); [rad], [rad/s], [rad/s^2]); empty velocity or acceleration
  /// means zero. Clears a fault and the log. Throws ConfigError (nothing changes) when the state is not
  /// finite, outside the limits, the workspace or free space (or within 1e-6 m of their walls), or the
  /// stop from it leaves them.
  void reset(std::span<const double> position, std::span<const double> velocity = {},
             std::span<const double> acceleration = {});
  /// False until the first `reset`; until then `apply` commands nothing (zeros) with Status::Fault.
  [[nodiscard]] bool has_start() const noexcept;

  /// Changes the limits between two ticks. A joint whose state allows it has the new ones from the next tick
  /// on; the others follow the stop certified under their old limits until it does. A joint whose stop leaves
  /// the new range cannot obey: `apply` reports Status::Fault, everything stops under the old limits and
  /// stays so until `reset`. Throws ConfigError (nothing changes) for bad limits or another number of joints.
  /// Real-time: no allocation unless it throws.
  void set_limits(const JointLimits& limits);

  /// One tick towards `target` (N) [rad]. `feedforward_velocity` (N) [rad/s] is the target's own velocity, or
  /// empty. A non-finite target, or a span of the wrong size, holds that joint's last good target with
  /// Status::NonFinite; a non-finite feed-forward counts as absent. The command is `position()` afterwards.
  Status apply(std::span<const double> target, std::span<const double> feedforward_velocity,
               EnforcerReport& report) noexcept VLA_RT_NONBLOCKING;

  /// The state after the last tick. Real-time: wait-free, no allocation.
  void save(EnforcerSnapshot& snapshot) const noexcept VLA_RT_NONBLOCKING;
  /// Goes on from a saved state; false, changing nothing, when it is none of an enforcer with this many
  /// joints.
  bool restore(const EnforcerSnapshot& snapshot) noexcept;

  /// One tick along the certified stop.
  void stop() noexcept VLA_RT_NONBLOCKING;
  /// True when velocity and acceleration are exactly zero.
  [[nodiscard]] bool at_rest() const noexcept VLA_RT_NONBLOCKING;

  /// The commanded state after the last tick, each (N): [rad], [rad/s], [rad/s^2].
  [[nodiscard]] std::span<const double> position() const noexcept VLA_RT_NONBLOCKING;
  [[nodiscard]] std::span<const double> velocity() const noexcept VLA_RT_NONBLOCKING;
  [[nodiscard]] std::span<const double> acceleration() const noexcept VLA_RT_NONBLOCKING;
  /// Mean jerk of the last tick (N) [rad/s^3].
  [[nodiscard]] std::span<const double> jerk() const noexcept VLA_RT_NONBLOCKING;

  /// The commanded motion inside the last tick, each (N), at `fraction` in [0, 1] of the period; 1 is the
  /// command.
  void sample_last_tick(double fraction, std::span<double> position, std::span<double> velocity,
                        std::span<double> acceleration) const noexcept VLA_RT_NONBLOCKING;

  /// Wishes logged ever, by all starts, overwritten ones included.
  [[nodiscard]] std::int64_t log_count() const noexcept VLA_RT_NONBLOCKING;
  /// Copies entries in order, from number `first` on (of `log_count`) or, if that is negative, the newest
  /// that fit; returns how many. Ones before the last `reset` or older than the newest `kLogCapacity` are
  /// gone.
  [[nodiscard]] int copy_log(std::span<WishLogEntry> out,
                             std::int64_t first = -1) const noexcept VLA_RT_NONBLOCKING;
  /// Ticks since `reset` in which `cause`, one of the enumerators, changed the wish of `joint`.
  [[nodiscard]] std::int64_t ticks_limited(int joint, Cause cause) const noexcept VLA_RT_NONBLOCKING;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
