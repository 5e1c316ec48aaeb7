#include "vla_rt/tokenization/openvla_tokenizer.hpp"

#include <algorithm>
#include <string>

#include "tokenization/bin_bounds.hpp"
#include "tokenization/edge_search.hpp"

namespace vla_rt {
namespace {

std::int64_t checked_bins(std::int64_t num_bins, std::int64_t vocab_size) {
  if (checked_count(num_bins, 2, "num_bins") > checked_count(vocab_size, 2, "vocab_size"))
    throw ConfigError("num_bins", std::to_string(num_bins),
                      "must be <= vocab_size = " + std::to_string(vocab_size));
  return num_bins;
}

}  // namespace

OpenVlaTokenizer::OpenVlaTokenizer(std::int64_t vocab_size, std::int64_t num_bins)
    : Tokenizer(1, 1, vocab_size - checked_bins(num_bins, vocab_size), vocab_size - 1) {
  // numpy.linspace: i*step + start, the last edge set to stop.
  const double step = 2.0 / static_cast<double>(num_bins - 1);
  edges_.resize(static_cast<std::size_t>(num_bins));
  for (std::size_t i = 0; i < edges_.size(); ++i) edges_[i] = static_cast<double>(i) * step + -1.0;
  edges_.back() = 1.0;
  for (std::size_t i = 0; i + 1 < edges_.size(); ++i) centers_.push_back((edges_[i] + edges_[i + 1]) / 2.0);
}

void OpenVlaTokenizer::encode_one(std::span<const double> action,
                                  std::span<std::int64_t> tokens) const noexcept {
  const double x = std::clamp(action[0], -1.0, 1.0);
  // Searched, not computed: at an edge the division could fall on either side of it.
  tokens[0] = vocab_size() - edges_up_to(edges_.data(), num_bins(), x);
}

void OpenVlaTokenizer::decode_one(std::span<const std::int64_t> tokens,
                                  std::span<double> action) const noexcept {
  const std::int64_t last = num_bins() - 2;
  action[0] =
      centers_[static_cast<std::size_t>(std::clamp(vocab_size() - tokens[0] - 1, std::int64_t{0}, last))];
}

}  // namespace vla_rt
