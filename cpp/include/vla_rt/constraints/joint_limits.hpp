#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/capacity.hpp"

namespace vla_rt {

/// What JointLimits::from_urdf cannot read in the file, or shall not take from it.
struct UrdfLimits {
  /// Last link of a chain, as Kinematics::from_urdf takes it: its joints, in its order. Empty: all movable
  /// joints of the file, parents before children, but those that mimic another one.
  std::string tip;
  std::string base;  ///< first link of that chain; empty: the root
  /// One number for all joints, or one per joint; empty: the file's. Where the file has no acceleration or
  /// jerk, kAccelerationPerVelocity and kJerkPerAcceleration say it; it must have a velocity.
  std::vector<double> max_velocity, max_acceleration, max_jerk;

  /// [1/s] The maximal velocity is reached in half a second. Cautious: Franka's arms are given 3.4 to 7.7,
  /// Universal Robots' default move 1.3.
  static constexpr double kAccelerationPerVelocity = 2;
  /// [1/s] The maximal acceleration is reached in 10 ms, the ratio of MoveIt's defaults (10 rad/s^2, 1000
  /// rad/s^3); Franka's arms are given 500.
  static constexpr double kJerkPerAcceleration = 100;
};

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
  /// From a URDF file. Throws FormatError as Kinematics::from_urdf; ConfigError naming the joint and the
  /// limit that is missing, zero or inverted, and for options of the wrong number or out of bounds. A
  /// continuous joint gets +-kMaxPosition. What was left out while reading goes to `warnings`, one sentence
  /// each.
  static JointLimits from_urdf(const std::string& path, const UrdfLimits& options = {},
                               std::vector<std::string>* warnings = nullptr);
  /// Throws ConfigError as `make`.
  void validate() const;

  /// Beyond these, double precision no longer resolves a certified stop. An unlimited joint takes
  /// +-kMaxPosition.
  static constexpr double kMaxPosition = 1e9, kMinRate = 1e-9, kMaxRate = 1e15;
};

}  // namespace vla_rt
