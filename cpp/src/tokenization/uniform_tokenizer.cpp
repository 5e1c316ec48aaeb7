#include "vla_rt/tokenization/uniform_tokenizer.hpp"

#include <algorithm>
#include <cmath>

#include "tokenization/bin_bounds.hpp"

namespace vla_rt {

UniformTokenizer::UniformTokenizer(std::span<const double> low, std::span<const double> high,
                                   std::int64_t num_bins)
    : Tokenizer(checked_bounds(low, high), checked_bounds(low, high), 0,
                checked_count(num_bins, 1, "num_bins") - 1),
      low_(low.begin(), low.end()),
      high_(high.begin(), high.end()) {}

void UniformTokenizer::encode_one(std::span<const double> action,
                                  std::span<std::int64_t> tokens) const noexcept {
  const auto bins = static_cast<double>(num_bins());
  for (std::size_t d = 0; d < action.size(); ++d) {
    const double x = std::clamp(action[d], low_[d], high_[d]);
    const double bin = std::floor((x - low_[d]) / (high_[d] - low_[d]) * bins);
    tokens[d] = std::clamp(static_cast<std::int64_t>(bin), std::int64_t{0}, max_token());
  }
}

void UniformTokenizer::decode_one(std::span<const std::int64_t> tokens,
                                  std::span<double> action) const noexcept {
  const auto bins = static_cast<double>(num_bins());
  for (std::size_t d = 0; d < action.size(); ++d)
    action[d] = low_[d] + (static_cast<double>(tokens[d]) + 0.5) / bins * (high_[d] - low_[d]);
}

}  // namespace vla_rt
