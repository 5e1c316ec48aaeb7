#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "vla_rt/tokenization/tokenizer.hpp"

namespace vla_rt {

/// Equal bins between two bounds: token = floor((clip(x) - low)/(high - low)*num_bins), at most num_bins - 1;
/// decoded to the middle of its bin, so that the error is at most half a bin for values within the bounds.
///
/// Bounds hold one number per action dimension, or a single one for every number of any shape.
class VLA_RT_API UniformTokenizer final : public Tokenizer {
 public:
  /// Throws ConfigError naming field and index unless low < high, all finite and of equal length, 1 <=
  /// num_bins < 2^31.
  UniformTokenizer(std::span<const double> low, std::span<const double> high, std::int64_t num_bins = 256);

  [[nodiscard]] std::int64_t num_bins() const noexcept { return max_token() + 1; }
  [[nodiscard]] std::span<const double> low() const noexcept { return low_; }
  [[nodiscard]] std::span<const double> high() const noexcept { return high_; }

 protected:
  void encode_one(std::span<const double> action, std::span<std::int64_t> tokens) const noexcept override;
  void decode_one(std::span<const std::int64_t> tokens, std::span<double> action) const noexcept override;

 private:
  std::vector<double> low_, high_;
};

}  // namespace vla_rt
