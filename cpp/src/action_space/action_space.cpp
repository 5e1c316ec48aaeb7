#include "vla_rt/action_space/action_space.hpp"

#include <cmath>
#include <utility>

#include "vla_rt/action_space/continuous_action_space.hpp"
#include "vla_rt/action_space/discrete_action_space.hpp"
#include "vla_rt/action_space/end_effector_space.hpp"
#include "vla_rt/action_space/hybrid_action_space.hpp"
#include "vla_rt/action_space/joint_space.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

void check(std::span<const double> in, std::span<const double> out, int dimension, const char* name) {
  if (in.size() != out.size() || in.size() % static_cast<std::size_t>(dimension) != 0)
    throw ConfigError(
        name, std::to_string(in.size()) + " values",
        "must be a multiple of D = " + std::to_string(dimension) + " and as many as the output");
  for (std::size_t i = 0; i < in.size(); ++i)
    if (!std::isfinite(in[i]))
      throw ConfigError(indexed(name, static_cast<long>(i)), number(in[i]), "must be finite");
}

// A kind whose bounds follow from fewer numbers accepts no others.
std::unique_ptr<const ActionSpace> consistent(std::unique_ptr<const ActionSpace> space,
                                              const ActionSpaceSpec& spec) {
  if (space->spec() != spec)
    throw ConfigError("lower, upper", "",
                      "do not belong to a space of kind " + std::string(to_string(spec.kind)));
  return space;
}

}  // namespace

ActionSpace::ActionSpace(ActionSpaceSpec spec, int dimension)
    : spec_(std::move(spec)), dimension_(dimension) {
  if (dimension < 1 || dimension > kMaxActionDim)
    throw ConfigError("dimension", std::to_string(dimension),
                      "must be in 1.." + std::to_string(kMaxActionDim));
}

ActionSpace::~ActionSpace() = default;

std::unique_ptr<const ActionSpace> ActionSpace::make(const ActionSpaceSpec& spec) {
  switch (spec.kind) {
    case ActionSpaceKind::JointPosition:
      return consistent(std::make_unique<JointPositionSpace>(spec.lower, spec.upper), spec);
    case ActionSpaceKind::JointVelocity:
      return consistent(std::make_unique<JointVelocitySpace>(spec.upper), spec);
    case ActionSpaceKind::EndEffectorPose:
      return consistent(std::make_unique<EndEffectorPoseSpace>(spec.lower, spec.upper), spec);
    case ActionSpaceKind::EndEffectorDelta:
      if (spec.upper.size() != 7)
        throw ConfigError("upper", std::to_string(spec.upper.size()) + " values", "must have 7");
      return consistent(std::make_unique<EndEffectorDeltaSpace>(spec.upper[0], spec.upper[3]), spec);
    case ActionSpaceKind::Continuous:
      return consistent(std::make_unique<ContinuousActionSpace>(spec.lower, spec.upper), spec);
    case ActionSpaceKind::Discrete:
      return consistent(std::make_unique<DiscreteActionSpace>(spec.num_actions), spec);
    case ActionSpaceKind::Hybrid:
      return consistent(std::make_unique<HybridActionSpace>(spec.skills), spec);
  }
  throw ConfigError("kind", std::to_string(static_cast<int>(spec.kind)), "must be a kind of action space");
}

void ActionSpace::normalize(std::span<const double> actions, std::span<double> normalized) const {
  check(actions, normalized, dimension_, "actions");
  const auto dim = static_cast<std::size_t>(dimension_);
  for (std::size_t i = 0; i < actions.size(); i += dim)
    check_one(actions.subspan(i, dim), static_cast<long>(i));
  for (std::size_t i = 0; i < actions.size(); i += dim)
    normalize_one(actions.subspan(i, dim), normalized.subspan(i, dim));
}

void ActionSpace::denormalize(std::span<const double> normalized, std::span<double> actions) const {
  check(normalized, actions, dimension_, "normalized");
  const auto dim = static_cast<std::size_t>(dimension_);
  for (std::size_t i = 0; i < actions.size(); i += dim)
    denormalize_one(normalized.subspan(i, dim), actions.subspan(i, dim));
}

void ActionSpace::check_one(std::span<const double> /*action*/, long /*first*/) const {}

}  // namespace vla_rt
