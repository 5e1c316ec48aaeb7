#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Judge of emitted positions, independent of whoever made them: re-differentiates positions alone.
///
/// A violation is |d^k q| / dt^k > limit (1 + 1e-6) + 2^k 8 eps max(1, |q|) / dt^k for k = 1, 2, 3, or a position
/// outside its range; history before the first tick is the reset position. Counted once per joint, tick and order.
/// Real-time: wait-free, no allocation.
class VLA_RT_API ViolationCounter {
 public:
  /// Throws ConfigError for bad limits or period.
  ViolationCounter(const JointLimits& limits, double period_s);

  /// Starts anew with the robot at rest at `position` (N).
  void reset(std::span<const double> position) noexcept;
  /// Judges one emitted position (N); returns the number of violations found in it.
  int add(std::span<const double> position) noexcept;

  [[nodiscard]] std::int64_t total() const noexcept { return total_; }
  /// Largest |d^k q| / dt^k relative to its limit so far, k = 1, 2, 3.
  [[nodiscard]] double worst_ratio(int k) const noexcept { return worst_[static_cast<std::size_t>(k) - 1]; }

 private:
  JointLimits limits_;
  double period_s_;
  std::array<JointArray, 3> past_{};  // positions 1, 2 and 3 ticks ago
  std::array<double, 3> worst_{};
  std::int64_t total_ = 0;
};

}  // namespace vla_rt
