#include "package/spec_json.hpp"

#include <array>
#include <utility>

#include "vla_rt/action_space/action_space.hpp"
#include "vla_rt/action_space/normalizer_statistics.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::size_t kMaxStatistics = 1
                                       << 16;  // values of one feature that may have statistics of their own
constexpr std::size_t kMaxSkills = 4096;

ActionSpaceSpec read_space(const JsonField& field, bool nested);

ActionSpaceSpec::Skill read_skill(const JsonField& field) {
  field.require_keys({"name"}, {"parameters"});
  ActionSpaceSpec::Skill skill{field.at("name").text(), {}};
  if (field.has("parameters")) skill.parameters.push_back(read_space(field.at("parameters"), true));
  return skill;
}

ActionSpaceSpec read_space(const JsonField& field, bool nested) {
  ActionSpaceSpec spec;
  spec.kind = placed(field, [&] { return action_space_kind_from_string(field.at("type").text(), "type"); });
  switch (spec.kind) {
    case ActionSpaceKind::Discrete:
      field.require_keys({"type", "num_actions"});
      spec.num_actions = field.at("num_actions").integer(1, INT64_C(1) << 31);
      break;
    case ActionSpaceKind::Hybrid:
      if (nested) field.fail("must not be a hybrid space inside a hybrid space");
      field.require_keys({"type", "skills"});
      for (const JsonField& skill : field.at("skills").elements(1, kMaxSkills))
        spec.skills.push_back(read_skill(skill));
      break;
    default:
      field.require_keys({"type", "lower", "upper"});
      spec.lower = field.at("lower").numbers(kMaxActionDim);
      spec.upper = field.at("upper").numbers(kMaxActionDim);
  }
  return spec;
}

}  // namespace

Json json_of(const NormalizerSpec& spec) {
  Json json{{"mode", to_string(spec.mode)}, {"convention", to_string(spec.convention)}};
  for (const auto& [name, member] : kNormalizerStatistics)
    if (!(spec.*member).empty()) json[name] = spec.*member;
  if (!spec.mask.empty()) {
    json["mask"] = Json::array();
    for (const std::uint8_t flag : spec.mask) json["mask"].push_back(flag != 0);
  }
  return json;
}

NormalizerSpec read_normalizer(const JsonField& field) {
  field.require_keys({"mode", "convention"},
                     {"mean", "std", "min", "max", "q01", "q99", "q10", "q90", "mask"});
  return placed(field, [&] {
    NormalizerSpec spec;
    spec.mode = normalization_mode_from_string(field.at("mode").text(), "mode");
    spec.convention = normalization_convention_from_string(field.at("convention").text(), "convention");
    for (const auto& [name, member] : kNormalizerStatistics)
      if (field.has(name)) spec.*member = field.at(name).numbers(kMaxStatistics);
    if (field.has("mask"))
      for (const JsonField& flag : field.at("mask").elements(0, kMaxStatistics))
        spec.mask.push_back(flag.boolean());
    spec.validate();
    return spec;
  });
}

Json json_of(const ActionSpaceSpec& spec) {
  if (spec.kind == ActionSpaceKind::Discrete)
    return {{"type", to_string(spec.kind)}, {"num_actions", spec.num_actions}};
  if (spec.kind != ActionSpaceKind::Hybrid)
    return {{"type", to_string(spec.kind)}, {"lower", spec.lower}, {"upper", spec.upper}};
  Json skills = Json::array();
  for (const ActionSpaceSpec::Skill& skill : spec.skills) {
    Json entry{{"name", skill.name}};
    if (!skill.parameters.empty()) entry["parameters"] = json_of(skill.parameters.front());
    skills.push_back(std::move(entry));
  }
  return {{"type", to_string(spec.kind)}, {"skills", std::move(skills)}};
}

ActionSpaceSpec read_action_space(const JsonField& field) {
  ActionSpaceSpec spec = read_space(field, false);
  placed(field, [&] { (void)ActionSpace::make(spec); });
  return spec;
}

std::string to_json(const NormalizerSpec& spec) { return json_of(spec).dump(); }
std::string to_json(const ActionSpaceSpec& spec) { return json_of(spec).dump(); }
std::string to_json(const TokenizerSpec& spec) { return json_of(spec).dump(); }

}  // namespace vla_rt
