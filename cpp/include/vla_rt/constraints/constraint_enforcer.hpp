#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/status.hpp"

namespace vla_rt {

/// Why a wish was changed, as bits of a mask.
enum class Cause : std::uint32_t {
  Position = 1u << 0,
  Velocity = 1u << 1,
  Acceleration = 1u << 2,
  Jerk = 1u << 3,
  Workspace = 1u << 4,
  Collision = 1u << 5,
  NonFinite = 1u << 6,
};

/// What one `apply` did. Plain data, fixed size.
struct EnforcerReport {
  Status status = Status::Ok;                       ///< Ok, Limited or NonFinite
  std::array<std::uint8_t, kMaxActionDim> causes{};  ///< mask of `Cause` per joint
};

/// Turns any stream of targets into commands that respect position, velocity, acceleration and jerk limits at once.
///
/// Invariant: after every call a certified stop (ending at velocity 0, acceleration 0) exists from the commanded
/// state that respects all limits; the next command is accepted only if the same is true after it, otherwise it is
/// mixed with that stop as far as needed. So no input, however late, wild or NaN, can break a limit.
///
/// Time is nominal: every call advances the commanded state by exactly `period_s`, also when the tick was late.
/// Real-time: `apply` and `stop` are wait-free and allocate nothing; the rest is set-up.
/// Thread: one thread at a time.
class VLA_RT_API ConstraintEnforcer {
 public:
  /// Throws ConfigError for bad limits or a period that is not in (0, 1] s.
  ConstraintEnforcer(const JointLimits& limits, double period_s, bool path_preserving = false);
  ~ConstraintEnforcer();
  ConstraintEnforcer(const ConstraintEnforcer&) = delete;
  ConstraintEnforcer& operator=(const ConstraintEnforcer&) = delete;
  ConstraintEnforcer(ConstraintEnforcer&&) noexcept;
  ConstraintEnforcer& operator=(ConstraintEnforcer&&) noexcept;

  [[nodiscard]] int num_joints() const noexcept;
  [[nodiscard]] double period_s() const noexcept;
  [[nodiscard]] const JointLimits& limits() const noexcept;

  /// Starts from a commanded state; empty velocity or acceleration means zero. Throws ConfigError (nothing changes)
  /// when the state is not finite, outside the limits, or no stop from it stays within them.
  void reset(std::span<const double> position, std::span<const double> velocity = {},
             std::span<const double> acceleration = {});

  /// One tick towards `target` (N). `feedforward_velocity` (N) is the target's own velocity, or empty.
  /// A non-finite target holds that joint's last good one; a non-finite feed-forward counts as absent.
  Status apply(std::span<const double> target, std::span<const double> feedforward_velocity,
               EnforcerReport& report) noexcept VLA_RT_NONBLOCKING;

  /// One tick along the certified stop.
  void stop() noexcept VLA_RT_NONBLOCKING;
  /// True when velocity and acceleration are exactly zero.
  [[nodiscard]] bool at_rest() const noexcept;

  /// The commanded state after the last tick, each (N).
  [[nodiscard]] std::span<const double> position() const noexcept;
  [[nodiscard]] std::span<const double> velocity() const noexcept;
  [[nodiscard]] std::span<const double> acceleration() const noexcept;
  /// Mean jerk of the last tick (N).
  [[nodiscard]] std::span<const double> jerk() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
