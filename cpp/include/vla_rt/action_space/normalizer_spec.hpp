#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Which statistics a normaliser uses.
enum class NormalizationMode : std::uint8_t {
  Identity,    ///< values are left alone
  MeanStd,     ///< mean and std
  MinMax,      ///< min and max to [-1, 1]
  Quantiles,   ///< q01 and q99 to [-1, 1]
  Quantile10,  ///< q10 and q90 to [-1, 1]
};

/// Whose formulas, epsilons and clipping a normaliser follows; see Normalizer.
enum class NormalizationConvention : std::uint8_t { LeRobot, OpenVla, OpenPi, Groot };

/// "identity", "mean_std", "min_max", "quantiles", "quantile10".
[[nodiscard]] VLA_RT_API const char* to_string(NormalizationMode mode) noexcept;
/// "lerobot", "openvla", "openpi", "groot".
[[nodiscard]] VLA_RT_API const char* to_string(NormalizationConvention convention) noexcept;
/// Throw ConfigError naming `field` and the accepted texts for any other text.
[[nodiscard]] VLA_RT_API NormalizationMode normalization_mode_from_string(const std::string& text,
                                                                          const std::string& field);
[[nodiscard]] VLA_RT_API NormalizationConvention
normalization_convention_from_string(const std::string& text, const std::string& field);

/// Everything that makes a Normalizer, as plain data: what a policy package stores.
///
/// A statistic holds one number per dimension (D), in the raw unit of that dimension, or is empty when
/// absent.
struct VLA_RT_API NormalizerSpec {
  NormalizationMode mode = NormalizationMode::Identity;
  NormalizationConvention convention = NormalizationConvention::LeRobot;
  std::vector<double> mean, std, min, max, q01, q99, q10, q90;
  std::vector<std::uint8_t> mask;  ///< 0: that dimension is left alone; empty: none is

  [[nodiscard]] bool operator==(const NormalizerSpec&) const = default;

  /// D; 0 when nothing fixes it (identity without mask), then any D is accepted.
  [[nodiscard]] int dimension() const noexcept;

  /// Throws ConfigError naming field, index, value and bound when a statistic that the mode needs is missing,
  /// lengths differ, a number is not finite, std < 0, a lower statistic is above its upper one, or a mask
  /// entry is neither 0 nor 1.
  void validate() const;
};

}  // namespace vla_rt
