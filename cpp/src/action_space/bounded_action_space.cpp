#include "vla_rt/action_space/bounded_action_space.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

int checked_dimension(const ActionSpaceSpec& spec, const char* lower_name, const char* upper_name) {
  const std::size_t dim = spec.upper.size();
  if (dim < 1 || dim > kMaxActionDim)
    throw ConfigError(upper_name, std::to_string(dim) + " values",
                      "must have 1.." + std::to_string(kMaxActionDim));
  if (spec.lower.size() != dim)
    throw ConfigError(lower_name, std::to_string(spec.lower.size()) + " values",
                      "must have as many as " + std::string(upper_name) + ", " + std::to_string(dim));
  for (std::size_t i = 0; i < dim; ++i) {
    for (const auto& [name, value] : {std::pair{lower_name, spec.lower[i]}, {upper_name, spec.upper[i]}})
      if (!std::isfinite(value))
        throw ConfigError(indexed(name, static_cast<long>(i)), number(value), "must be finite");
    const double range = spec.upper[i] - spec.lower[i];
    if (!(range > 0) || !std::isfinite(range))
      throw ConfigError(indexed(lower_name, static_cast<long>(i)), number(spec.lower[i]),
                        "must be < " + std::string(upper_name) + " = " + number(spec.upper[i]) +
                            ", with a finite difference");
  }
  return static_cast<int>(dim);
}

}  // namespace

BoundedActionSpace::BoundedActionSpace(const ActionSpaceSpec& spec, const char* lower_name,
                                       const char* upper_name)
    : ActionSpace(spec, checked_dimension(spec, lower_name, upper_name)) {}

ActionSpaceSpec BoundedActionSpace::bounded(ActionSpaceKind kind, std::span<const double> lower,
                                            std::span<const double> upper) {
  ActionSpaceSpec spec;
  spec.kind = kind;
  spec.lower.assign(lower.begin(), lower.end());
  spec.upper.assign(upper.begin(), upper.end());
  return spec;
}

void BoundedActionSpace::normalize_one(std::span<const double> action, std::span<double> normalized) const {
  const std::span<const double> lo = lower(), hi = upper();
  for (std::size_t d = 0; d < action.size(); ++d)
    normalized[d] = 2 * ((action[d] - lo[d]) / (hi[d] - lo[d])) - 1;
}

void BoundedActionSpace::denormalize_one(std::span<const double> normalized, std::span<double> action) const {
  const std::span<const double> lo = lower(), hi = upper();
  for (std::size_t d = 0; d < action.size(); ++d) {
    const double x = normalized[d];
    const double a = lo[d] + (x + 1) / 2 * (hi[d] - lo[d]);
    action[d] = std::abs(x) <= 1 ? std::clamp(a, lo[d], hi[d]) : a;  // rounding must not leave the bounds
  }
}

void BoundedActionSpace::clip(std::span<const double> actions, std::span<double> clipped) const {
  normalize(actions, clipped);  // for its checks
  const std::span<const double> lo = lower(), hi = upper();
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const std::size_t d = i % lo.size();
    clipped[i] = std::clamp(actions[i], lo[d], hi[d]);
  }
}

}  // namespace vla_rt
