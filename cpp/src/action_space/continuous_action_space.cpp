#include "vla_rt/action_space/continuous_action_space.hpp"

#include <algorithm>
#include <cmath>

#include "action_space/seeded_random.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

void require(bool fits, const char* name, std::size_t size, int dimension) {
  if (!fits)
    throw ConfigError(
        name, std::to_string(size) + " values",
        "must be a multiple of D = " + std::to_string(dimension) + " and as many as the output");
}

}  // namespace

ContinuousActionSpace::ContinuousActionSpace(std::span<const double> low, std::span<const double> high)
    : BoundedActionSpace(bounded(ActionSpaceKind::Continuous, low, high), "low", "high") {}

void ContinuousActionSpace::squash(std::span<const double> logits, std::span<double> actions) const {
  const auto dim = static_cast<std::size_t>(dimension());
  require(logits.size() == actions.size() && logits.size() % dim == 0, "logits", logits.size(), dimension());
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (std::isnan(logits[i]))
      throw ConfigError(indexed("logits", static_cast<long>(i)), "nan", "must be a number");
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double lo = lower()[i % dim], hi = upper()[i % dim];
    actions[i] = std::clamp(lo + (std::tanh(logits[i]) + 1) / 2 * (hi - lo), lo, hi);
  }
}

void ContinuousActionSpace::sample(std::span<const double> mean, std::span<const double> std,
                                   std::uint64_t seed, std::span<double> actions) const {
  const auto dim = static_cast<std::size_t>(dimension());
  require(mean.size() == actions.size() && mean.size() % dim == 0, "mean", mean.size(), dimension());
  require(std.size() == mean.size(), "std", std.size(), dimension());
  for (std::size_t i = 0; i < mean.size(); ++i) {
    if (!std::isfinite(mean[i]))
      throw ConfigError(indexed("mean", static_cast<long>(i)), number(mean[i]), "must be finite");
    if (!std::isfinite(std[i]) || std[i] < 0)
      throw ConfigError(indexed("std", static_cast<long>(i)), number(std[i]), "must be finite and >= 0");
  }
  SeededRandom random(seed);
  for (std::size_t i = 0; i < mean.size(); ++i)
    actions[i] = std::clamp(mean[i] + std[i] * random.normal(), lower()[i % dim], upper()[i % dim]);
}

}  // namespace vla_rt
