#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Judge of emitted positions, independent of whoever made them: re-differentiates positions alone.
///
/// A violation is |d^k q| / dt^k > limit (1 + 1e-6) + 2^k 8 eps max(1, |q|) / dt^k for k = 1, 2, 3, or a
/// position outside its range; history before the first tick is the reset position. Counted once per joint,
/// tick and order; a NaN breaks all of them. Real-time: wait-free, no allocation. Thread: one thread at a
/// time.
class VLA_RT_API ViolationCounter {
 public:
  /// Throws ConfigError for bad limits or period.
  ViolationCounter(const JointLimits& limits, double period_s);

  /// Starts anew with the robot at rest at `position` (N) [rad]. A robot that starts in motion is judged from
  /// its first tick on by giving the positions it had before: `reset` to the oldest of three, `add` the
  /// others, `forgive`.
  void reset(std::span<const double> position) noexcept VLA_RT_NONBLOCKING;
  /// Judges one emitted position (N) [rad]; returns the number of violations found in it. A wrong size is
  /// one.
  int add(std::span<const double> position) noexcept VLA_RT_NONBLOCKING;
  /// Forgets what was counted, keeps the history.
  void forgive() noexcept VLA_RT_NONBLOCKING {
    total_ = 0;
    worst_ = {};
  }
  /// Judges by other limits (the same number of joints) from the next tick on. Throws ConfigError.
  void set_limits(const JointLimits& limits);

  [[nodiscard]] std::int64_t total() const noexcept { return total_; }
  [[nodiscard]] int num_joints() const noexcept { return limits_.num_joints; }
  /// Largest |d^k q| / dt^k relative to its limit so far, k = 1 (velocity), 2 (acceleration), 3 (jerk).
  [[nodiscard]] double worst_ratio(int k) const noexcept { return worst_[static_cast<std::size_t>(k) - 1]; }

 private:
  JointLimits limits_;
  double period_s_;
  std::array<JointArray, 3> past_{};  // positions 1, 2 and 3 ticks ago
  std::array<double, 3> worst_{};
  std::int64_t total_ = 0;
};

}  // namespace vla_rt
