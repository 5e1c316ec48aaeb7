#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "vla_rt/tokenization/tokenizer.hpp"

namespace vla_rt {

/// OpenVLA's tokens: the last ids of the language model's vocabulary stand for bins of [-1, 1].
///
/// The edges are numpy.linspace(-1, 1, num_bins), bit for bit: num_bins edges, num_bins - 1 centres. With
/// d = numpy.digitize(clip(x, -1, 1), edges) in 1..num_bins, token = vocab_size - d; decoded to the centre
/// clip(vocab_size - token - 1, 0, num_bins - 2), so that x = 1, alone beyond the last edge, takes the last
/// centre.
///
/// Source: Kim et al. 2024, prismatic/vla/action_tokenizer.py. Any shape; actions normalised (Normalizer).
class VLA_RT_API OpenVlaTokenizer final : public Tokenizer {
 public:
  /// Throws ConfigError unless 2 <= num_bins <= vocab_size < 2^31.
  explicit OpenVlaTokenizer(std::int64_t vocab_size = 32000, std::int64_t num_bins = 256);

  [[nodiscard]] std::int64_t vocab_size() const noexcept { return max_token() + 1; }
  [[nodiscard]] std::int64_t num_bins() const noexcept { return static_cast<std::int64_t>(edges_.size()); }
  [[nodiscard]] std::span<const double> edges() const noexcept { return edges_; }
  [[nodiscard]] std::span<const double> centers() const noexcept { return centers_; }

 protected:
  void encode_one(std::span<const double> action, std::span<std::int64_t> tokens) const noexcept override;
  void decode_one(std::span<const std::int64_t> tokens, std::span<double> action) const noexcept override;

 private:
  std::vector<double> edges_, centers_;
};

}  // namespace vla_rt
