#pragma once
#include <span>

#include "vla_rt/action_space/action_space.hpp"

namespace vla_rt {

/// An action space whose every dimension has a lower and an upper bound: [lower, upper] maps linearly to [-1,
/// 1].
class VLA_RT_API BoundedActionSpace : public ActionSpace {
 public:
  [[nodiscard]] std::span<const double> lower() const noexcept { return spec().lower; }
  [[nodiscard]] std::span<const double> upper() const noexcept { return spec().upper; }

  /// Raw actions (..., D) with every number moved into its bounds. Throws as `normalize`.
  void clip(std::span<const double> actions, std::span<double> clipped) const;

 protected:
  /// Throws ConfigError naming "<lower_name>[i]" or "<upper_name>[i]" when lengths differ or are outside
  /// 1..kMaxActionDim, a bound is not finite, or lower >= upper.
  BoundedActionSpace(const ActionSpaceSpec& spec, const char* lower_name, const char* upper_name);
  /// The spec of a kind with these bounds, unchecked.
  [[nodiscard]] static ActionSpaceSpec bounded(ActionSpaceKind kind, std::span<const double> lower,
                                               std::span<const double> upper);

  void normalize_one(std::span<const double> action, std::span<double> normalized) const override;
  void denormalize_one(std::span<const double> normalized, std::span<double> action) const override;
};

}  // namespace vla_rt
