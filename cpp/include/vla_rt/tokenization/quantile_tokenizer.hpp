#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "vla_rt/tokenization/tokenizer.hpp"

namespace vla_rt {

/// Bins that each hold the same share of the data: edges at its quantiles, per dimension; decoded to the
/// middle of the bin's two edges. Values beyond the outer edges fall into the outer bins.
///
/// Where edges coincide (the data repeats a value) the last of the bins that begin there is taken.
/// Source: the bins of Octo (octo/model/components/tokenizers.py), with edges from the data.
class VLA_RT_API QuantileTokenizer final : public Tokenizer {
 public:
  /// Edges (action_dim, num_bins + 1) row-major, not descending within a row. Throws ConfigError naming
  /// "edges[i]".
  QuantileTokenizer(std::span<const double> edges, int action_dim);

  /// Edges at the quantiles 0, 1/num_bins, ..., 1 of each column of the data (n, action_dim), interpolated
  /// linearly as numpy.quantile does. Throws ConfigError when n is 0, a number is not finite, or num_bins is
  /// outside 1..2^20.
  [[nodiscard]] static QuantileTokenizer fit(std::span<const double> actions, int action_dim,
                                             std::int64_t num_bins = 256);

  [[nodiscard]] std::int64_t num_bins() const noexcept { return max_token() + 1; }
  /// (action_dim, num_bins + 1).
  [[nodiscard]] std::span<const double> edges() const noexcept { return edges_; }

 protected:
  void encode_one(std::span<const double> action, std::span<std::int64_t> tokens) const noexcept override;
  void decode_one(std::span<const std::int64_t> tokens, std::span<double> action) const noexcept override;

 private:
  std::vector<double> edges_;
};

}  // namespace vla_rt
