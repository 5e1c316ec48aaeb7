#include "vla_rt/tokenization/rt1_tokenizer.hpp"

#include <algorithm>
#include <string>

#include "tokenization/bin_bounds.hpp"

namespace vla_rt {
namespace {

int checked_one_hot(int one_hot, std::int64_t vocab_size) {
  if (one_hot < 0 || one_hot > vocab_size || one_hot > 4096)
    throw ConfigError("one_hot", std::to_string(one_hot),
                      "must be in 0.." + std::to_string(std::min<std::int64_t>(vocab_size, 4096)));
  return one_hot;
}

}  // namespace

Rt1Tokenizer::Rt1Tokenizer(std::span<const double> low, std::span<const double> high, std::int64_t vocab_size,
                           int one_hot)
    : Tokenizer(
          checked_bounds(low, high) + checked_one_hot(one_hot, checked_count(vocab_size, 2, "vocab_size")),
          checked_bounds(low, high) + (one_hot > 0 ? 1 : 0), 0, vocab_size - 1),
      low_(low.begin(), low.end()),
      high_(high.begin(), high.end()),
      one_hot_(one_hot) {}

void Rt1Tokenizer::encode_one(std::span<const double> action, std::span<std::int64_t> tokens) const noexcept {
  const auto steps = static_cast<double>(max_token());
  const std::size_t n = low_.size();
  for (std::size_t d = 0; d < n; ++d) {
    const double x = std::clamp(action[d], low_[d], high_[d]);
    tokens[d] = static_cast<std::int64_t>((x - low_[d]) / (high_[d] - low_[d]) * steps);
  }
  if (one_hot_ == 0) return;
  const std::span<const double> choice = action.subspan(n);
  tokens[n] = std::max_element(choice.begin(), choice.end()) - choice.begin();
}

void Rt1Tokenizer::decode_one(std::span<const std::int64_t> tokens, std::span<double> action) const noexcept {
  const auto steps = static_cast<double>(max_token());
  const std::size_t n = low_.size();
  for (std::size_t d = 0; d < n; ++d)
    action[d] = static_cast<double>(tokens[d]) / steps * (high_[d] - low_[d]) + low_[d];
  for (std::size_t i = n; i < action.size(); ++i)
    action[i] = tokens[n] == static_cast<std::int64_t>(i - n) ? 1 : 0;
}

void Rt1Tokenizer::check_one(std::span<const std::int64_t> tokens, long first) const {
  if (one_hot_ > 0 && tokens.back() >= one_hot_)
    throw ConfigError(indexed("tokens", first + static_cast<long>(tokens.size()) - 1),
                      std::to_string(tokens.back()), "must be in 0.." + std::to_string(one_hot_ - 1));
}

}  // namespace vla_rt
