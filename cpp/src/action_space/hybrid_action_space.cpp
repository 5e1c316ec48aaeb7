#include "vla_rt/action_space/hybrid_action_space.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

int checked_dimension(const std::vector<SkillSpec>& skills) {
  if (skills.empty()) throw ConfigError("skills", "none", "must hold at least one skill");
  std::set<std::string> names;
  int largest = 0;
  for (const SkillSpec& skill : skills) {
    if (skill.name.empty()) throw ConfigError("skills", "''", "a skill's name must not be empty");
    const std::string field = "skills[" + skill.name + "]";
    if (!names.insert(skill.name).second) throw ConfigError(field, "twice", "a skill's name must be unique");
    if (skill.parameters.size() > 1) throw ConfigError(field, "", "must have one parameter space or none");
    if (skill.parameters.empty()) continue;
    if (skill.parameters[0].kind == ActionSpaceKind::Hybrid)
      throw ConfigError(field, "hybrid", "a skill's parameters must not be hybrid themselves");
    largest = std::max(largest, ActionSpace::make(skill.parameters[0])->dimension());
  }
  return 1 + largest;
}

ActionSpaceSpec hybrid(const std::vector<SkillSpec>& skills) {
  ActionSpaceSpec spec;
  spec.kind = ActionSpaceKind::Hybrid;
  spec.skills = skills;
  return spec;
}

}  // namespace

HybridActionSpace::HybridActionSpace(const std::vector<SkillSpec>& skills)
    : ActionSpace(hybrid(skills), checked_dimension(skills)) {
  for (const SkillSpec& skill : skills)
    skills_.push_back(skill.parameters.empty() ? nullptr : ActionSpace::make(skill.parameters[0]));
}

int HybridActionSpace::skill_index(const std::string& name) const {
  std::string known;
  for (std::size_t i = 0; i < skills_.size(); ++i) {
    if (spec().skills[i].name == name) return static_cast<int>(i);
    known += (i > 0 ? ", " : "") + spec().skills[i].name;
  }
  throw ConfigError("skill", "'" + name + "'", "must be one of " + known);
}

void HybridActionSpace::check_one(std::span<const double> action, long first) const {
  const double index = action[0];
  if (index != std::floor(index) || index < 0 || index >= static_cast<double>(num_skills()))
    throw ConfigError(indexed("actions", first), number(index),
                      "must be a skill index 0.." + std::to_string(num_skills() - 1));
  if (const ActionSpace* space = parameters(static_cast<int>(index)))
    space->check_one(action.subspan(1, static_cast<std::size_t>(space->dimension())), first + 1);
}

void HybridActionSpace::normalize_one(std::span<const double> action, std::span<double> normalized) const {
  const int skill = static_cast<int>(action[0]);
  const ActionSpace* space = parameters(skill);
  const auto used = static_cast<std::size_t>(space == nullptr ? 0 : space->dimension());
  normalized[0] = num_skills() == 1 ? 0 : 2.0 * skill / (num_skills() - 1) - 1;
  if (space != nullptr) space->normalize_one(action.subspan(1, used), normalized.subspan(1, used));
  std::fill(normalized.begin() + 1 + static_cast<std::ptrdiff_t>(used), normalized.end(), 0.0);
}

void HybridActionSpace::denormalize_one(std::span<const double> normalized, std::span<double> action) const {
  const double last = num_skills() - 1;
  const int skill = static_cast<int>(std::clamp(std::ceil((normalized[0] + 1) / 2 * last - 0.5), 0.0, last));
  const ActionSpace* space = parameters(skill);
  const auto used = static_cast<std::size_t>(space == nullptr ? 0 : space->dimension());
  action[0] = skill;
  if (space != nullptr) space->denormalize_one(normalized.subspan(1, used), action.subspan(1, used));
  std::fill(action.begin() + 1 + static_cast<std::ptrdiff_t>(used), action.end(), 0.0);
}

}  // namespace vla_rt
