#pragma once
#include <cstdint>
#include <span>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Turns actions into a fixed number of tokens each, and back.
///
/// Actions are (..., action_dim) and tokens (..., tokens_per_action), row-major. Tokenizers with one pair of
/// bounds for all numbers have 1 and 1: they take any shape.
///
/// Errors are ConfigErrors naming "actions[i]" or "tokens[i]" (flat index) for a number that is not finite or
/// an id outside the vocabulary, or "actions"/"tokens" when the sizes do not fit; the output is untouched
/// then.
///
/// Real-time: no allocation, but may throw. Thread: immutable; any number of threads.
class VLA_RT_API Tokenizer {
 public:
  virtual ~Tokenizer();

  [[nodiscard]] int action_dim() const noexcept { return action_dim_; }
  [[nodiscard]] int tokens_per_action() const noexcept { return tokens_per_action_; }
  /// Ids are in min_token .. max_token.
  [[nodiscard]] std::int64_t min_token() const noexcept { return min_token_; }
  [[nodiscard]] std::int64_t max_token() const noexcept { return max_token_; }

  void encode(std::span<const double> actions, std::span<std::int64_t> tokens) const;
  void decode(std::span<const std::int64_t> tokens, std::span<double> actions) const;

 protected:
  Tokenizer(int action_dim, int tokens_per_action, std::int64_t min_token, std::int64_t max_token);

  /// One action of finite numbers; cannot fail.
  virtual void encode_one(std::span<const double> action, std::span<std::int64_t> tokens) const noexcept = 0;
  /// Tokens of one action, all within min_token .. max_token and accepted by check_one; cannot fail.
  virtual void decode_one(std::span<const std::int64_t> tokens, std::span<double> action) const noexcept = 0;
  /// Throws ConfigError naming "tokens[first + i]" for ids that are in the vocabulary but not possible here.
  virtual void check_one(std::span<const std::int64_t> tokens, long first) const;

 private:
  int action_dim_, tokens_per_action_;
  std::int64_t min_token_, max_token_;
};

}  // namespace vla_rt
