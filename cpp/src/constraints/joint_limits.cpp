#include "vla_rt/constraints/joint_limits.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

void copy_field(const char* name, std::span<const double> from, std::int32_t num_joints, JointArray& to) {
  if (from.size() != static_cast<std::size_t>(num_joints))
    throw ConfigError(name, std::to_string(from.size()) + " values",
                      "must have as many as min_position: " + std::to_string(num_joints));
  std::copy(from.begin(), from.end(), to.begin());
}

void check_num_joints(std::size_t n) {
  if (n < 1 || n > kMaxActionDim)
    throw ConfigError("num_joints", std::to_string(n), "must be in 1.." + std::to_string(kMaxActionDim));
}

void check_position(const char* name, int i, double value) {
  if (!(std::fabs(value) <= JointLimits::kMaxPosition))
    throw ConfigError(indexed(name, i), number(value),
                      "must be finite and at most " + number(JointLimits::kMaxPosition) + " in size");
}

void check_rate(const char* name, int i, double value) {
  if (!(value > 0) || !std::isfinite(value))
    throw ConfigError(indexed(name, i), number(value), "must be finite and > 0");
  if (value < JointLimits::kMinRate || value > JointLimits::kMaxRate)
    throw ConfigError(
        indexed(name, i), number(value),
        "must be in [" + number(JointLimits::kMinRate) + ", " + number(JointLimits::kMaxRate) + "]");
}

}  // namespace

JointLimits JointLimits::make(std::span<const double> min_position, std::span<const double> max_position,
                              std::span<const double> max_velocity, std::span<const double> max_acceleration,
                              std::span<const double> max_jerk) {
  check_num_joints(min_position.size());
  JointLimits limits;
  limits.num_joints = static_cast<std::int32_t>(min_position.size());
  copy_field("min_position", min_position, limits.num_joints, limits.min_position);
  copy_field("max_position", max_position, limits.num_joints, limits.max_position);
  copy_field("max_velocity", max_velocity, limits.num_joints, limits.max_velocity);
  copy_field("max_acceleration", max_acceleration, limits.num_joints, limits.max_acceleration);
  copy_field("max_jerk", max_jerk, limits.num_joints, limits.max_jerk);
  limits.validate();
  return limits;
}

void JointLimits::validate() const {
  check_num_joints(num_joints < 0 ? 0 : static_cast<std::size_t>(num_joints));
  for (int i = 0; i < num_joints; ++i) {
    const auto k = static_cast<std::size_t>(i);
    check_position("min_position", i, min_position[k]);
    check_position("max_position", i, max_position[k]);
    if (!(max_position[k] > min_position[k]))
      throw ConfigError(indexed("max_position", i), number(max_position[k]),
                        "must be above " + indexed("min_position", i) + " = " + number(min_position[k]));
    check_rate("max_velocity", i, max_velocity[k]);
    check_rate("max_acceleration", i, max_acceleration[k]);
    check_rate("max_jerk", i, max_jerk[k]);
  }
}

}  // namespace vla_rt
