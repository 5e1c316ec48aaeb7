#include "vla_rt/action_space/action_space_spec.hpp"

#include <array>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

bool SkillSpec::operator==(const SkillSpec&) const = default;
bool ActionSpaceSpec::operator==(const ActionSpaceSpec&) const = default;

const char* to_string(ActionSpaceKind kind) noexcept {
  switch (kind) {
    case ActionSpaceKind::JointPosition:
      return "joint_position";
    case ActionSpaceKind::JointVelocity:
      return "joint_velocity";
    case ActionSpaceKind::EndEffectorPose:
      return "end_effector_pose";
    case ActionSpaceKind::EndEffectorDelta:
      return "end_effector_delta";
    case ActionSpaceKind::Continuous:
      return "continuous";
    case ActionSpaceKind::Discrete:
      return "discrete";
    case ActionSpaceKind::Hybrid:
      return "hybrid";
  }
  return "unknown";
}

ActionSpaceKind action_space_kind_from_string(const std::string& text, const std::string& field) {
  constexpr std::array kKinds = {ActionSpaceKind::JointPosition,   ActionSpaceKind::JointVelocity,
                                 ActionSpaceKind::EndEffectorPose, ActionSpaceKind::EndEffectorDelta,
                                 ActionSpaceKind::Continuous,      ActionSpaceKind::Discrete,
                                 ActionSpaceKind::Hybrid};
  std::string accepted;
  for (const ActionSpaceKind kind : kKinds) {
    if (text == to_string(kind)) return kind;
    accepted += (accepted.empty() ? "" : ", ") + std::string(to_string(kind));
  }
  throw ConfigError(field, "'" + text + "'", "must be one of " + accepted);
}

}  // namespace vla_rt
