#pragma once
#include <memory>
#include <span>
#include <vector>

#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/status.hpp"
#include "vla_rt/kinematics/kinematics.hpp"
#include "vla_rt/kinematics/pose.hpp"

namespace vla_rt {

/// How DifferentialIk weighs what it cannot have all at once.
struct DifferentialIkOptions {
  /// [m/rad] One radian of orientation error counts as so many metres of position error, > 0. Matters where
  /// both cannot be met: unreachable poses, arms of fewer than six joints (smaller: position comes first).
  double rotation_scale = 0.25;
  /// [m/rad] Directions that the arm can hardly move in, with singular values of the (scaled) Jacobian below
  /// this, are damped, in [1e-6, 1].
  double singular_value = 0.02;
  /// (N) [rad] or [m] Where the arm's free joints drift to while the tool stays; empty: the position given to
  /// `reset`.
  std::vector<double> posture;
  double posture_gain = 1.0;  ///< [1/s] how fast; 0: not at all
};

/// What one `update` came to. Plain data.
struct DifferentialIkReport {
  /// Ok; Limited: the target pose was not met within 1e-4 m and 1e-3 rad (out of reach, at joint limits, or
  /// on the way); NonFinite: pose or feed-forward was refused and the last good target is kept.
  Status status = Status::Ok;
  double position_error = 0;  ///< [m] left after this tick
  double rotation_error = 0;  ///< [rad] left after this tick
  double singular_value = 0;  ///< [m/rad] estimate of the smallest one before this tick; 0 in a singularity
};

/// Tool poses in, joint positions out: differential inverse kinematics, one bounded step per tick.
///
/// Every tick solves a least-squares problem for the step x of the joints,
///   min |J x - e|^2 + d |x|^2,  min_position <= q + x <= max_position,
/// with e the pose error (orientation as a rotation vector, so that q and -q are the same and no Euler angle
/// is ever interpolated), by a primal active-set method of at most 4 N + 4 six-by-six Cholesky solutions. The
/// damping d = a + b varies: a rises from 0 where the smallest singular value falls below
/// `singular_value` (Nakamura and Hanafusa 1986; Chiaverini 1997); b = R |e| / 8 with R the reach of the arm
/// stands for the curvature of the kinematics, so that an arm that cannot reach its target comes to rest
/// instead of trembling, and vanishes on a target that is reached (error-damped Levenberg-Marquardt: Chan and
/// Lawrence 1988; Fan and Yuan 2005). The tool's own velocity is fed forward
/// through the same damped inverse, with the drift to the posture in its null space (Liegeois 1977).
/// What is left of x is approached no faster than half of the joints' acceleration and jerk can brake, and
/// the whole step is slowed to the joints' velocity limits, so that the tool keeps its direction.
///
/// The result is a target for a ConstraintEnforcer, which keeps the last word: position and velocity limits
/// hold here, acceleration and jerk there. The joint positions are this object's own: they run ahead of a
/// robot that lags; `follow` seeds them anew.
///
/// Local: it goes where the error falls, and can end at a joint limit from which another configuration of
/// the arm would have reached the pose.
///
/// Real-time: `update`, `update_delta` and `follow` are wait-free and allocate nothing; the rest is set-up.
/// Thread: one at a time.
class VLA_RT_API DifferentialIk {
 public:
  /// `limits` are those of the chain's N joints. Throws ConfigError for bad limits, another number of joints,
  /// a period that is not in (0, 1] s, or options out of their bounds.
  DifferentialIk(const Kinematics& kinematics, const JointLimits& limits, double period_s,
                 const DifferentialIkOptions& options = {});
  ~DifferentialIk();
  DifferentialIk(const DifferentialIk&) = delete;
  DifferentialIk& operator=(const DifferentialIk&) = delete;
  DifferentialIk(DifferentialIk&&) noexcept;
  DifferentialIk& operator=(DifferentialIk&&) noexcept;

  [[nodiscard]] int num_joints() const noexcept;
  [[nodiscard]] double period_s() const noexcept;
  [[nodiscard]] const Kinematics& kinematics() const noexcept;

  /// Starts at joint positions (N), with the tool's pose there as the target. Throws ConfigError (nothing
  /// changes) when they are not finite, of another number or outside the limits.
  void reset(std::span<const double> position);
  /// False until the first `reset`; until then `update` answers Fault and changes nothing.
  [[nodiscard]] bool has_start() const noexcept;

  /// One tick towards `target`, given in the base frame of the chain, which moves with `feedforward`.
  /// A pose or twist that is not finite, or a quaternion not of length 1 (kUnitTolerance), is refused: the
  /// last good target is kept, at rest.
  Status update(const Pose& target, const Twist& feedforward,
                DifferentialIkReport& report) noexcept VLA_RT_NONBLOCKING;
  /// As above; the target's velocity is taken from its change since the last tick, unless that is more than
  /// the joints can do: then it is a jump to a target at rest.
  Status update(const Pose& target, DifferentialIkReport& report) noexcept VLA_RT_NONBLOCKING;
  /// One tick towards the present target moved by a delta (see `moved`), which becomes the target: deltas
  /// accumulate on what was asked for, not on what was reached. Numbers that are not finite are refused.
  Status update_delta(const Vector3& translation, const Vector3& euler_xyz, DeltaFrame frame,
                      DifferentialIkReport& report) noexcept VLA_RT_NONBLOCKING;
  /// Takes joint positions (N) as its own, within the limits, with the tool's pose there as the target; what
  /// is not finite stays.
  void follow(std::span<const double> position) noexcept VLA_RT_NONBLOCKING;

  /// Joint positions (N) [rad] or [m] after the last tick, and their velocities [rad/s]: target and
  /// feed-forward for ConstraintEnforcer::apply.
  [[nodiscard]] std::span<const double> position() const noexcept VLA_RT_NONBLOCKING;
  [[nodiscard]] std::span<const double> velocity() const noexcept VLA_RT_NONBLOCKING;
  /// The tool's pose at `position()`, and the target.
  [[nodiscard]] Pose pose() const noexcept VLA_RT_NONBLOCKING;
  [[nodiscard]] const Pose& target() const noexcept VLA_RT_NONBLOCKING;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
