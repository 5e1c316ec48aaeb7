#include "vla_rt/action_space/joint_space.hpp"

#include <cmath>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

ActionSpaceSpec symmetric(std::span<const double> max_velocity) {
  ActionSpaceSpec spec;
  spec.kind = ActionSpaceKind::JointVelocity;
  for (std::size_t i = 0; i < max_velocity.size(); ++i) {
    const double v = max_velocity[i];
    if (!std::isfinite(v) || v <= 0)
      throw ConfigError(indexed("max_velocity", static_cast<long>(i)), number(v), "must be finite and > 0");
    spec.lower.push_back(-v);
    spec.upper.push_back(v);
  }
  return spec;
}

}  // namespace

JointPositionSpace::JointPositionSpace(std::span<const double> lower, std::span<const double> upper)
    : BoundedActionSpace(bounded(ActionSpaceKind::JointPosition, lower, upper), "lower", "upper") {}

JointVelocitySpace::JointVelocitySpace(std::span<const double> max_velocity)
    : BoundedActionSpace(symmetric(max_velocity), "max_velocity", "max_velocity") {}

}  // namespace vla_rt
