#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "vla_rt/tokenization/tokenizer.hpp"

namespace vla_rt {

/// RT-1's tokens: (clip(x) - low)/(high - low)*(vocab_size - 1), truncated; decoded to
/// token/(vocab_size - 1)*(high - low) + low. Both bounds are exact; in between the error is below one step,
/// downwards.
///
/// With `one_hot` > 0 an action ends with that many more numbers, a one-hot choice such as RT-1's
/// terminate_episode; they become one last token, the index of the largest (the first of equals), decoded to
/// exactly one-hot.
///
/// Source: Brohan et al. 2022, robotics_transformer/tokenizers/action_tokenizer.py.
class VLA_RT_API Rt1Tokenizer final : public Tokenizer {
 public:
  /// Throws ConfigError naming field and index unless low < high, all finite and of equal length,
  /// 2 <= vocab_size < 2^31 and 0 <= one_hot <= vocab_size. Bounds as UniformTokenizer's.
  Rt1Tokenizer(std::span<const double> low, std::span<const double> high, std::int64_t vocab_size = 256,
               int one_hot = 0);

  [[nodiscard]] std::int64_t vocab_size() const noexcept { return max_token() + 1; }
  [[nodiscard]] int one_hot() const noexcept { return one_hot_; }
  [[nodiscard]] std::span<const double> low() const noexcept { return low_; }
  [[nodiscard]] std::span<const double> high() const noexcept { return high_; }

 protected:
  void encode_one(std::span<const double> action, std::span<std::int64_t> tokens) const noexcept override;
  void decode_one(std::span<const std::int64_t> tokens, std::span<double> action) const noexcept override;
  void check_one(std::span<const std::int64_t> tokens, long first) const override;

 private:
  std::vector<double> low_, high_;
  int one_hot_;
};

}  // namespace vla_rt
