#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "vla_rt/package/policy_spec.hpp"

namespace vla_rt {

/// The tokenizer of a package at work: the tokens of one chunk to its actions.
class ActionTokens {
 public:
  virtual ~ActionTokens() = default;

  /// Throws ConfigError for a description that makes no sense or does not fit `action_dim`, FormatError for
  /// files in `folder` that are not what they should be.
  [[nodiscard]] static std::unique_ptr<const ActionTokens> make(const TokenizerSpec& spec, int horizon,
                                                                int action_dim,
                                                                const std::filesystem::path& folder);

  /// Ids that can occur: min_token .. max_token.
  [[nodiscard]] virtual std::int64_t min_token() const noexcept = 0;
  [[nodiscard]] virtual std::int64_t max_token() const noexcept = 0;
  /// Whether a chunk may be spelled by so many tokens.
  [[nodiscard]] virtual bool fits(int num_tokens) const noexcept = 0;
  /// Whether chunks are of different numbers of tokens, ended by a stop token.
  [[nodiscard]] virtual bool is_open_ended() const noexcept { return false; }

  /// Actions (T, D). Throws ConfigError naming "tokens" or "tokens[i]" for ids that spell no chunk.
  virtual void decode(std::span<const std::int64_t> tokens, std::span<double> actions) const = 0;
};

/// Throws ConfigError naming the member of a description that makes no sense by itself; files are not looked
/// at.
void validate(const TokenizerSpec& spec);

}  // namespace vla_rt
