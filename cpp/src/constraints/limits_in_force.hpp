#pragma once
#include <array>
#include <cstddef>
#include <span>

#include "constraints/joint_bounds.hpp"
#include "constraints/motion_state.hpp"
#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/capacity.hpp"

namespace vla_rt::constraints {

/// Which limits hold for each joint now.
///
/// New limits are asked for in motion and taken over joint by joint, as soon as the state is in their safe
/// set; until then a joint waits, and follows the stop certified under its old ones. A joint whose stop
/// leaves the new range cannot obey: that is a fault, until `set`. Real-time: wait-free, no allocation.
class LimitsInForce {
 public:
  explicit LimitsInForce(const JointLimits& limits) noexcept { set(limits); }

  [[nodiscard]] const JointBounds& operator[](std::size_t i) const noexcept { return bounds_[i]; }
  [[nodiscard]] std::span<const JointBounds> bounds() const noexcept { return {bounds_.data(), n_}; }
  /// Asked for, but not in force where the joint waits.
  [[nodiscard]] std::span<const JointBounds> asked() const noexcept { return {asked_.data(), n_}; }
  [[nodiscard]] bool waits(std::size_t i) const noexcept { return waits_[i]; }
  [[nodiscard]] bool any_waits() const noexcept { return any_waits_; }
  [[nodiscard]] bool cannot_obey(std::size_t i) const noexcept { return cannot_obey_[i]; }
  [[nodiscard]] bool fault() const noexcept { return fault_; }

  /// In force at once, for all joints.
  void set(const JointLimits& limits) noexcept;
  /// All joints wait; faults where one cannot obey.
  void ask(const JointLimits& limits, const CommandedMotion& now) noexcept;
  /// Takes over what the state allows; returns whether any joint did.
  bool adopt(const CommandedMotion& now) noexcept;
  /// Undoes the last `adopt`.
  void take_back() noexcept;
  /// Why joint i waits, as `Cause` bits.
  [[nodiscard]] unsigned why_waits(std::size_t i, const MotionState& x) const noexcept;

 private:
  std::size_t n_ = 0;
  std::array<JointBounds, kMaxActionDim> bounds_{}, asked_{};
  std::array<bool, kMaxActionDim> waits_{}, cannot_obey_{}, adopted_{};
  bool any_waits_ = false, fault_ = false;
};

}  // namespace vla_rt::constraints
