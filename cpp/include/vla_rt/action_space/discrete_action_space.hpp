#pragma once
#include <cstdint>
#include <span>

#include "vla_rt/action_space/action_space.hpp"

namespace vla_rt {

/// One of n actions, written as its index 0..n-1; D = 1.
///
/// The indices map to n evenly spaced points of [-1, 1] (to 0 where n is 1); back, the nearest index is
/// taken, the lower one half-way, so that anything a network says names an action.
class VLA_RT_API DiscreteActionSpace final : public ActionSpace {
 public:
  /// Throws ConfigError unless 1 <= n <= 2^31 - 1.
  explicit DiscreteActionSpace(std::int64_t n);

  [[nodiscard]] std::int64_t num_actions() const noexcept { return spec().num_actions; }

  /// Draws one index per row of probabilities (..., n), which are >= 0 and sum to 1 within 1e-3. Row r draws
  /// with the r-th number of mt19937_64(seed), the same on every platform. Throws ConfigError naming
  /// "probabilities[i]".
  void sample(std::span<const double> probabilities, std::uint64_t seed,
              std::span<std::int64_t> actions) const;
  /// The same from logits (..., n): softmax first. Throws ConfigError naming "logits[i]" when one is not
  /// finite.
  void sample_logits(std::span<const double> logits, std::uint64_t seed,
                     std::span<std::int64_t> actions) const;

 protected:
  void normalize_one(std::span<const double> action, std::span<double> normalized) const override;
  void denormalize_one(std::span<const double> normalized, std::span<double> action) const override;
  void check_one(std::span<const double> action, long first) const override;
};

}  // namespace vla_rt
