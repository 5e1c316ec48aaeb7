#pragma once
#include <cstdint>
#include <span>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/capacity.hpp"

namespace vla_rt {

/// Limits of N joints on the commanded motion, exact at and between ticks.
/// Thread: plain data.
struct VLA_RT_API JointLimits {
  std::int32_t num_joints = 0;
  JointArray min_position{};      ///< [rad] or [m]
  JointArray max_position{};      ///< [rad] or [m]
  JointArray max_velocity{};      ///< [rad/s], symmetric
  JointArray max_acceleration{};  ///< [rad/s^2], symmetric
  JointArray max_jerk{};          ///< [rad/s^3], symmetric

  /// Five spans of equal length N. Throws ConfigError naming field, index, value and bound when lengths
  /// differ, N is outside 1..kMaxActionDim, a number is not finite, min >= max, |position| > kMaxPosition, or
  /// a rate limit is outside [kMinRate, kMaxRate].
  static JointLimits make(std::span<const double> min_position, std::span<const double> max_position,
                          std::span<const double> max_velocity, std::span<const double> max_acceleration,
                          std::span<const double> max_jerk);
  /// Throws ConfigError as `make`.
  void validate() const;

  /// Beyond these, double precision no longer resolves a certified stop. An unlimited joint takes
  /// +-kMaxPosition.
  static constexpr double kMaxPosition = 1e9, kMinRate = 1e-9, kMaxRate = 1e15;
};

}  // namespace vla_rt
