#include "vla_rt/tokenization/tokenizer.hpp"

#include <cmath>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

void require_sizes(std::size_t in, std::size_t per_in, std::size_t out, std::size_t per_out,
                   const char* name) {
  if (in % per_in != 0 || out != in / per_in * per_out)
    throw ConfigError(name, std::to_string(in) + " values",
                      "must be a multiple of " + std::to_string(per_in) + " and fit the output");
}

}  // namespace

Tokenizer::Tokenizer(int action_dim, int tokens_per_action, std::int64_t min_token, std::int64_t max_token)
    : action_dim_(action_dim),
      tokens_per_action_(tokens_per_action),
      min_token_(min_token),
      max_token_(max_token) {}

Tokenizer::~Tokenizer() = default;

void Tokenizer::encode(std::span<const double> actions, std::span<std::int64_t> tokens) const {
  const auto dim = static_cast<std::size_t>(action_dim_), n = static_cast<std::size_t>(tokens_per_action_);
  require_sizes(actions.size(), dim, tokens.size(), n, "actions");
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (!std::isfinite(actions[i]))
      throw ConfigError(indexed("actions", static_cast<long>(i)), number(actions[i]), "must be finite");
  for (std::size_t a = 0; a * dim < actions.size(); ++a)
    encode_one(actions.subspan(a * dim, dim), tokens.subspan(a * n, n));
}

void Tokenizer::decode(std::span<const std::int64_t> tokens, std::span<double> actions) const {
  const auto dim = static_cast<std::size_t>(action_dim_), n = static_cast<std::size_t>(tokens_per_action_);
  require_sizes(tokens.size(), n, actions.size(), dim, "tokens");
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < min_token_ || tokens[i] > max_token_)
      throw ConfigError(indexed("tokens", static_cast<long>(i)), std::to_string(tokens[i]),
                        "must be in " + std::to_string(min_token_) + ".." + std::to_string(max_token_));
  for (std::size_t i = 0; i < tokens.size(); i += n) check_one(tokens.subspan(i, n), static_cast<long>(i));
  for (std::size_t a = 0; a * n < tokens.size(); ++a)
    decode_one(tokens.subspan(a * n, n), actions.subspan(a * dim, dim));
}

void Tokenizer::check_one(std::span<const std::int64_t> /*tokens*/, long /*first*/) const {}

}  // namespace vla_rt
