#include "vla_rt/action_space/end_effector_space.hpp"

#include <cmath>
#include <vector>

#include "vla_rt/action_space/rotation.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::size_t kTransform = 16;

std::vector<double> with_quaternion(std::span<const double> bound, double quaternion_bound,
                                    const char* name) {
  std::vector<double> all(bound.begin(), bound.end());
  if (all.size() == 3) all.resize(7, quaternion_bound);
  if (all.size() != 7 && all.size() != 8)
    throw ConfigError(name, std::to_string(all.size()) + " values",
                      "must have 3 (position), 7 (and quaternion) or 8 (and gripper)");
  return all;
}

ActionSpaceSpec pose_bounds(std::span<const double> lower, std::span<const double> upper) {
  ActionSpaceSpec spec;
  spec.kind = ActionSpaceKind::EndEffectorPose;
  spec.lower = with_quaternion(lower, -1, "lower");
  spec.upper = with_quaternion(upper, 1, "upper");
  return spec;
}

ActionSpaceSpec delta_bounds(double max_translation, double max_rotation) {
  for (const auto& [name, value] :
       {std::pair{"max_translation", max_translation}, {"max_rotation", max_rotation}})
    if (!std::isfinite(value) || value <= 0) throw ConfigError(name, number(value), "must be finite and > 0");
  ActionSpaceSpec spec;
  spec.kind = ActionSpaceKind::EndEffectorDelta;
  spec.lower.assign(3, -max_translation);
  spec.upper.assign(3, max_translation);
  spec.lower.resize(6, -max_rotation);
  spec.upper.resize(6, max_rotation);
  spec.lower.push_back(0);
  spec.upper.push_back(1);
  return spec;
}

void write_transforms(std::span<const double> actions, std::size_t width, RotationFormat format,
                      std::span<double> transforms) {
  if (actions.size() % width != 0 || transforms.size() != actions.size() / width * kTransform)
    throw ConfigError("actions", std::to_string(actions.size()) + " values",
                      "must be a multiple of " + std::to_string(width) + " and fit the output");
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (!std::isfinite(actions[i]))
      throw ConfigError(indexed("actions", static_cast<long>(i)), number(actions[i]), "must be finite");
  for (std::size_t a = 0; a * width < actions.size(); ++a) {
    const std::span<const double> action = actions.subspan(a * width, width);
    const Quaternion q = to_quaternion(format, action.subspan(3, size_of(format)),
                                       indexed("actions", static_cast<long>(a * width + 3)));
    Matrix3 m{};
    from_quaternion(q, RotationFormat::Matrix, m);
    const std::span<double> t = transforms.subspan(a * kTransform, kTransform);
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::size_t c = 0; c < 3; ++c) t[r * 4 + c] = m[r * 3 + c];
      t[r * 4 + 3] = action[r];
      t[12 + r] = 0;
    }
    t[15] = 1;
  }
}

}  // namespace

EndEffectorPoseSpace::EndEffectorPoseSpace(std::span<const double> lower, std::span<const double> upper)
    : BoundedActionSpace(pose_bounds(lower, upper), "lower", "upper") {}

void EndEffectorPoseSpace::to_transform(std::span<const double> actions, std::span<double> transforms) const {
  write_transforms(actions, static_cast<std::size_t>(dimension()), RotationFormat::Quaternion, transforms);
}

EndEffectorDeltaSpace::EndEffectorDeltaSpace(double max_translation, double max_rotation)
    : BoundedActionSpace(delta_bounds(max_translation, max_rotation), "max_translation", "max_rotation") {}

void EndEffectorDeltaSpace::to_transform(std::span<const double> actions, std::span<double> transforms,
                                         int width) const {
  if (width != 6 && width != 7) throw ConfigError("width", std::to_string(width), "must be 6 or 7");
  write_transforms(actions, static_cast<std::size_t>(width), RotationFormat::EulerXyz, transforms);
}

}  // namespace vla_rt
