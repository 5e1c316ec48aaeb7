#pragma once
#include <array>
#include <cstddef>
#include <span>

#include "constraints/common_time_scale.hpp"
#include "constraints/joint_bounds.hpp"
#include "constraints/motion_state.hpp"
#include "constraints/target_estimator.hpp"
#include "constraints/target_tracker.hpp"
#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/core/capacity.hpp"

namespace vla_rt::constraints {

/// What each joint, alone, does next to follow its target within its own limits.
/// Per tick: `see` every joint's target, `compare` once, `step` every joint. Real-time: wait-free, no
/// allocation.
class JointFollower {
 public:
  JointFollower(const EnforcerOptions& options, double h) noexcept;

  /// At rest at q, which is the target until one is seen.
  void start(std::size_t i, double q) noexcept { estimators_[i].reset(q); }
  /// The joint does not follow its target now: what was learnt of the target's motion is void.
  void forget(std::size_t i) noexcept { estimators_[i].forget(); }

  /// Takes joint i's target, and where not null its velocity; returns the `Cause` bits of what is wrong with
  /// it. A target that is no number means the last good one.
  [[nodiscard]] unsigned see(std::size_t i, double target, const double* feedforward,
                             const JointBounds& b) noexcept;
  /// All it carries from tick to tick.
  [[nodiscard]] const TargetEstimator& estimator(std::size_t i) const noexcept { return estimators_[i]; }
  void adopt(std::size_t i, const TargetEstimator& estimator) noexcept { estimators_[i] = estimator; }
  /// The last good target.
  [[nodiscard]] double held(std::size_t i) const noexcept { return estimators_[i].held().q; }
  /// Where each joint is to be at the end of the tick, and how to move there; may be changed before
  /// `compare`.
  [[nodiscard]] std::span<TargetMotion> goals() noexcept { return goals_; }
  [[nodiscard]] const TargetMotion& goal(std::size_t i) const noexcept { return goals_[i]; }

  void compare(const CommandedMotion& now, std::span<const JointBounds> bounds) noexcept;
  /// The next tick of joint i from x; returns the `Cause` bits of the limits that changed it.
  [[nodiscard]] unsigned step(std::size_t i, const MotionState& x, const JointBounds& b,
                              Step& out) const noexcept;

 private:
  [[nodiscard]] bool arrived(const MotionState& x, const TargetMotion& goal) const noexcept;
  [[nodiscard]] unsigned asked_too_much(const MotionState& x, double target,
                                        const JointBounds& b) const noexcept;

  double h_;
  bool path_preserving_;
  TargetTracker tracker_;
  CommonTimeScale common_;
  std::array<TargetEstimator, kMaxActionDim> estimators_{};
  std::array<TargetMotion, kMaxActionDim> goals_{};
  std::array<MotionState, kMaxActionDim> errors_{};
};

}  // namespace vla_rt::constraints
