#pragma once
#include <cstdint>
#include <span>

#include "vla_rt/action_space/bounded_action_space.hpp"

namespace vla_rt {

/// Continuous actions of any meaning within [low, high], with the two maps a Gaussian head needs.
class VLA_RT_API ContinuousActionSpace final : public BoundedActionSpace {
 public:
  ContinuousActionSpace(std::span<const double> low, std::span<const double> high);

  /// Logits (..., D) to raw actions by tanh: (tanh(logit) + 1)/2 of the way from low to high.
  void squash(std::span<const double> logits, std::span<double> actions) const;

  /// mean + std * normal noise, moved into the bounds; mean and std (..., D) raw, std >= 0. The noise depends
  /// on `seed` and the position in the array only (mt19937_64 with Box-Muller, the same on every platform).
  void sample(std::span<const double> mean, std::span<const double> std, std::uint64_t seed,
              std::span<double> actions) const;
};

}  // namespace vla_rt
