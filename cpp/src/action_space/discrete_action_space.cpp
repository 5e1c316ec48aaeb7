#include "vla_rt/action_space/discrete_action_space.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "action_space/seeded_random.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

void require_rows(std::span<const double> weights, std::size_t n, std::span<const std::int64_t> actions,
                  const char* name) {
  if (weights.size() != n * actions.size())
    throw ConfigError(name, std::to_string(weights.size()) + " values",
                      "must have n = " + std::to_string(n) + " for each action");
}

ActionSpaceSpec discrete(std::int64_t n) {
  ActionSpaceSpec spec;
  spec.kind = ActionSpaceKind::Discrete;
  spec.num_actions = n;
  return spec;
}

// The first index whose cumulative weight exceeds `target`; rounding at the end must not pick an impossible
// action.
template <typename Weight>
std::int64_t pick(std::size_t n, double target, const Weight& weight) {
  double sum = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double w = weight(i);
    if (w > 0) last = i;
    sum += w;
    if (target < sum) break;
  }
  return static_cast<std::int64_t>(last);
}

}  // namespace

DiscreteActionSpace::DiscreteActionSpace(std::int64_t n) : ActionSpace(discrete(n), 1) {
  if (n < 1 || n > std::numeric_limits<std::int32_t>::max())
    throw ConfigError("n", std::to_string(n), "must be in 1..2147483647");
}

void DiscreteActionSpace::check_one(std::span<const double> action, long first) const {
  const double index = action[0];
  if (index != std::floor(index) || index < 0 || index >= static_cast<double>(num_actions()))
    throw ConfigError(indexed("actions", first), number(index),
                      "must be an index 0.." + std::to_string(num_actions() - 1));
}

void DiscreteActionSpace::normalize_one(std::span<const double> action, std::span<double> normalized) const {
  normalized[0] = num_actions() == 1 ? 0 : 2 * action[0] / static_cast<double>(num_actions() - 1) - 1;
}

void DiscreteActionSpace::denormalize_one(std::span<const double> normalized,
                                          std::span<double> action) const {
  const auto last = static_cast<double>(num_actions() - 1);
  action[0] = std::clamp(std::ceil((normalized[0] + 1) / 2 * last - 0.5), 0.0, last) + 0.0;
}

void DiscreteActionSpace::sample(std::span<const double> probabilities, std::uint64_t seed,
                                 std::span<std::int64_t> actions) const {
  const auto n = static_cast<std::size_t>(num_actions());
  require_rows(probabilities, n, actions, "probabilities");
  for (std::size_t r = 0; r < actions.size(); ++r) {
    double sum = 0;
    for (std::size_t i = r * n; i < (r + 1) * n; ++i) {
      if (!std::isfinite(probabilities[i]) || probabilities[i] < 0)
        throw ConfigError(indexed("probabilities", static_cast<long>(i)), number(probabilities[i]),
                          "must be finite and >= 0");
      sum += probabilities[i];
    }
    if (std::abs(sum - 1) > 1e-3)
      throw ConfigError("probabilities", "row " + std::to_string(r) + " sums to " + number(sum),
                        "must sum to 1 within 1e-3");
  }
  SeededRandom random(seed);
  for (std::size_t r = 0; r < actions.size(); ++r) {
    const std::span<const double> row = probabilities.subspan(r * n, n);
    double sum = 0;
    for (const double p : row) sum += p;
    actions[r] = pick(n, random.uniform() * sum, [&](std::size_t i) { return row[i]; });
  }
}

void DiscreteActionSpace::sample_logits(std::span<const double> logits, std::uint64_t seed,
                                        std::span<std::int64_t> actions) const {
  const auto n = static_cast<std::size_t>(num_actions());
  require_rows(logits, n, actions, "logits");
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (!std::isfinite(logits[i]))
      throw ConfigError(indexed("logits", static_cast<long>(i)), number(logits[i]), "must be finite");
  SeededRandom random(seed);
  for (std::size_t r = 0; r < actions.size(); ++r) {
    const std::span<const double> row = logits.subspan(r * n, n);
    const double largest = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const double x : row) sum += std::exp(x - largest);
    actions[r] = pick(n, random.uniform() * sum, [&](std::size_t i) { return std::exp(row[i] - largest); });
  }
}

}  // namespace vla_rt
