#include "vla_rt/sampling/cached_token_model.hpp"

#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::int64_t kMaxToken = 1 << 24;

}  // namespace

CachedTokenModel::CachedTokenModel(Model& model, std::int64_t start_token)
    : model_(model), start_token_(static_cast<float>(start_token)) {
  if (model.vocabulary() < 1)
    throw ConfigError("model", model.backend(), "must be a network over tokens (vocabulary > 0)");
  if (start_token < 0 || start_token > kMaxToken)
    throw ConfigError("start_token", std::to_string(start_token),
                      "must be in 0.." + std::to_string(kMaxToken));
  logits_.resize(static_cast<std::size_t>(model.vocabulary()));
}

std::span<const float> CachedTokenModel::next_logits(std::span<const std::int64_t> tokens, int batch,
                                                     int length) {
  if (batch != 1)
    throw ConfigError("batch", std::to_string(batch), "must be 1: the caches hold one sequence");
  if (length != 0 && length != next_length_)
    throw ConfigError("length", std::to_string(length),
                      "must be 0 or " + std::to_string(next_length_) + ", where the last call ended");
  const float token = length == 0 ? start_token_ : static_cast<float>(tokens.back());
  next_length_ = 0;  // a step that throws leaves caches that cannot be gone on with
  model_.step({&token, 1}, length, logits_);
  next_length_ = length + 1;
  return logits_;
}

}  // namespace vla_rt
