#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

enum class ActionSpaceKind : std::uint8_t {
  JointPosition,
  JointVelocity,
  EndEffectorPose,
  EndEffectorDelta,
  Continuous,
  Discrete,
  Hybrid,
};

/// "joint_position", "joint_velocity", "end_effector_pose", "end_effector_delta", "continuous", "discrete",
/// "hybrid".
[[nodiscard]] VLA_RT_API const char* to_string(ActionSpaceKind kind) noexcept;
/// Throws ConfigError naming `field` and the accepted texts for any other text.
[[nodiscard]] VLA_RT_API ActionSpaceKind action_space_kind_from_string(const std::string& text,
                                                                       const std::string& field);

struct ActionSpaceSpec;

/// A named skill of a hybrid space.
struct VLA_RT_API SkillSpec {
  std::string name;
  std::vector<ActionSpaceSpec> parameters;  ///< one space, or none for a skill without parameters

  [[nodiscard]] bool operator==(const SkillSpec&) const;
};

/// Everything that makes an ActionSpace, as plain data: what a policy package stores. `ActionSpace::make`
/// checks it.
struct VLA_RT_API ActionSpaceSpec {
  using Skill = SkillSpec;

  ActionSpaceKind kind = ActionSpaceKind::Continuous;
  std::vector<double> lower, upper;  ///< (D) bounds in the raw unit; every kind but discrete and hybrid
  std::int64_t num_actions = 0;      ///< n of a discrete space
  std::vector<Skill> skills;         ///< of a hybrid space, in the order of their indices

  [[nodiscard]] bool operator==(const ActionSpaceSpec&) const;
};

}  // namespace vla_rt
