#pragma once
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "constraints/joint_bounds.hpp"
#include "constraints/joint_sweep.hpp"
#include "constraints/limits_in_force.hpp"
#include "constraints/motion_state.hpp"
#include "constraints/swept_check.hpp"
#include "constraints/target_estimator.hpp"
#include "constraints/wall_slider.hpp"
#include "vla_rt/core/capacity.hpp"

namespace vla_rt::constraints {

/// Keeps the next tick of the chain's joints, and the whole stop after it, inside the workspace and out of
/// collision. What it is given and changes is of all joints; those that are not the chain's stay as they are.
///
/// Per tick: `begin_tick`, `slide_goals`, then `agree` on what every joint wants alone, then `stand_at` where
/// that led. The stop in hand is always one that was verified: its next piece needs no check. Real-time: what
/// is noexcept is wait-free and allocates nothing.
class SurroundingsGuard {
 public:
  /// `joints`: which of all joints those of the model are.
  SurroundingsGuard(const GapModel& model, std::shared_ptr<const StateCheck> check,
                    std::vector<std::size_t> joints, double h)
      : check_(model, std::move(check)), h_(h), joints_(std::move(joints)), n_(joints_.size()) {}

  /// For sliding joints: the largest |q| of both these and all earlier limits.
  void widen_range(std::span<const JointBounds> bounds) noexcept { widen_range(check_, bounds); }
  /// Stands at the start. Throws ConfigError (nothing changes) where the robot may not be, or may not stop
  /// from.
  void reset(std::span<const MotionState> start, std::span<const JointBounds> bounds);

  void begin_tick() noexcept { check_.begin_tick(); }
  /// Whether the stops from here, under these limits, keep clear.
  [[nodiscard]] bool admits_stops(const CommandedMotion& now, std::span<const JointBounds> bounds) noexcept;
  /// Moves goals behind walls onto them; adds the cause to every joint whose goal moved.
  void slide_goals(const CommandedMotion& now, std::span<const JointBounds> bounds,
                   std::span<TargetMotion> goals, std::span<unsigned> causes) noexcept;
  /// Replaces the steps that every joint has chosen alone by the nearest mix with the stop in hand that keeps
  /// clear, one mix for all joints. Joints that wait for their limits follow their stop already.
  void agree(const CommandedMotion& now, const LimitsInForce& limits, std::span<Step> steps,
             std::span<unsigned> causes) noexcept;
  /// Says where the robot is. Sets the distances.
  void stand_at(const CommandedMotion& now) noexcept;

  /// [m] to the nearest wall of a workspace, and between things that must not touch; infinite without any.
  [[nodiscard]] double workspace_distance() const noexcept { return check_.workspace_distance(); }
  [[nodiscard]] double clearance() const noexcept { return check_.clearance(); }

 private:
  void widen_range(SweptCheck& check, std::span<const JointBounds> bounds) const noexcept;
  [[nodiscard]] std::span<const JointSweep> stops(const CommandedMotion& now,
                                                  std::span<const JointBounds> bounds) noexcept;
  [[nodiscard]] bool admits(const CommandedMotion& now, std::span<const JointBounds> bounds,
                            std::span<const Step> steps) noexcept;
  [[nodiscard]] double rest_moved(std::size_t k, const MotionState& x, const JointBounds& b) const noexcept {
    return x.q + stop_displacement(x.v, x.a, b.A, b.J) - rest_[k];
  }
  void slide_steps(const CommandedMotion& now, const LimitsInForce& limits, std::span<Step> steps,
                   std::span<unsigned> causes) noexcept;

  // Below, entry k is of joint joints_[k].
  SweptCheck check_;
  double h_;
  std::vector<std::size_t> joints_;
  std::size_t n_;
  WallSlider walls_;
  JointArray q_{};
  std::array<TargetMotion, kMaxActionDim> goals_{};
  std::array<unsigned, kMaxActionDim> goal_causes_{};
  JointArray rest_{};  // where the stop in hand ends
  JointArray change_{}, wished_change_{}, least_change_{}, most_change_{};
  std::array<JointSweep, kMaxActionDim> sweeps_{};
  std::array<TickMotion, kMaxActionDim> wished_{}, stops_{};
  std::array<Extent, kMaxActionDim> ranges_{};
  std::array<Step, kMaxActionDim> trial_{};  // of joint i at i
};

}  // namespace vla_rt::constraints
