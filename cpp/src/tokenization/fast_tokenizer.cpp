#include "vla_rt/tokenization/fast_tokenizer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr double kLargest = 1 << 30;

// Decodes UTF-8; returns how many bytes had to be left out because they spell no character.
std::size_t code_points(const std::string& bytes, std::vector<std::int64_t>& out) {
  std::size_t broken = 0;
  for (std::size_t i = 0; i < bytes.size();) {
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(bytes[k]); };
    const unsigned char lead = byte(i);
    std::size_t length = 0;
    std::int64_t c = 0, least = 0;
    if (lead < 0x80) {
      length = 1, c = lead;
    } else if (lead >= 0xC0 && lead < 0xE0) {
      length = 2, c = lead & 0x1F, least = 0x80;
    } else if (lead >= 0xE0 && lead < 0xF0) {
      length = 3, c = lead & 0x0F, least = 0x800;
    } else if (lead >= 0xF0 && lead < 0xF8) {
      length = 4, c = lead & 0x07, least = 0x10000;
    }
    bool good = length > 0 && i + length <= bytes.size();
    for (std::size_t k = 1; good && k < length; ++k) {
      good = (byte(i + k) & 0xC0) == 0x80;
      c = (c << 6) | (byte(i + k) & 0x3F);
    }
    if (!good || c < least || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) {
      ++broken;
      ++i;
      continue;
    }
    out.push_back(c);
    i += length;
  }
  return broken;
}

}  // namespace

FastTokenizer::FastTokenizer(BytePairEncoder encoder, const Config& config)
    : encoder_(std::move(encoder)), config_(config) {
  if (!std::isfinite(config.scale) || config.scale <= 0)
    throw ConfigError("scale", number(config.scale), "must be finite and > 0");
  if (std::abs(static_cast<double>(config.min_token)) > kLargest)
    throw ConfigError("min_token", std::to_string(config.min_token), "must be within +-2^30");
  if (config.vocab_size < 0 || config.vocab_size > BytePairEncoder::kMaxVocab)
    throw ConfigError("vocab_size", std::to_string(config.vocab_size), "must be in 0..1048576");
  if (config_.vocab_size == 0) config_.vocab_size = encoder_.vocab_size();
  if (config.horizon && (*config.horizon < 1 || *config.horizon > CosineTransform::kMaxHorizon))
    throw ConfigError("time_horizon", std::to_string(*config.horizon), "must be in 1..1024");
  if (config.action_dim && (*config.action_dim < 1 || *config.action_dim > 4096))
    throw ConfigError("action_dim", std::to_string(*config.action_dim), "must be in 1..4096");
}

std::shared_ptr<const CosineTransform> FastTokenizer::transform(int horizon) const {
  const std::scoped_lock lock(cache_->mutex);
  if (!cache_->transform || cache_->transform->horizon() != horizon)
    cache_->transform = std::make_shared<const CosineTransform>(horizon);
  return cache_->transform;
}

std::vector<std::int32_t> FastTokenizer::quantize(std::span<const double> actions, int horizon) const {
  if (horizon < 1 || actions.empty() || actions.size() % static_cast<std::size_t>(horizon) != 0)
    throw ConfigError("actions", std::to_string(actions.size()) + " values",
                      "must be a multiple of horizon = " + std::to_string(horizon) + ", at least one row");
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (!std::isfinite(actions[i]))
      throw ConfigError(indexed("actions", static_cast<long>(i)), number(actions[i]), "must be finite");
  std::vector<double> coefficients(actions.size());
  transform(horizon)->forward(actions, coefficients);
  std::vector<std::int32_t> quantized(actions.size());
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const double q = std::nearbyint(coefficients[i] * config_.scale);
    if (!(std::abs(q) <= kLargest))
      throw ConfigError(indexed("coefficients", static_cast<long>(i)), number(q), "must be within +-2^30");
    quantized[i] = static_cast<std::int32_t>(q);
  }
  return quantized;
}

std::vector<std::int32_t> FastTokenizer::encode(std::span<const double> actions, int horizon) const {
  std::vector<std::int32_t> text = quantize(actions, horizon);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::int64_t c = std::max<std::int64_t>(text[i] - config_.min_token, 0);
    if (c > BytePairEncoder::kMaxCodePoint)
      throw ConfigError(indexed("coefficients", static_cast<long>(i)), std::to_string(text[i]),
                        "must be <= " + std::to_string(BytePairEncoder::kMaxCodePoint + config_.min_token) +
                            "; normalise the actions to [-1, 1]");
    text[i] = static_cast<std::int32_t>(c);
  }
  std::vector<std::int32_t> ids;
  encoder_.encode(text, ids, "characters");
  return ids;
}

std::vector<std::int64_t> FastTokenizer::coefficients(std::span<const std::int64_t> tokens, int horizon,
                                                      int action_dim, bool strict) const {
  if (horizon < 1 || horizon > CosineTransform::kMaxHorizon)
    throw ConfigError("horizon", std::to_string(horizon), "must be in 1..1024");
  if (action_dim < 1 || action_dim > 4096)
    throw ConfigError("action_dim", std::to_string(action_dim), "must be in 1..4096");
  std::vector<std::int64_t> values;
  const std::size_t broken = code_points(encoder_.decode(tokens), values);
  const std::size_t expected = static_cast<std::size_t>(horizon) * static_cast<std::size_t>(action_dim);
  if (strict && broken > 0)
    throw ConfigError("tokens", std::to_string(broken) + " bytes spell no character",
                      "must spell whole coefficients");
  if (strict && values.size() != expected)
    throw ConfigError("tokens", std::to_string(values.size()) + " coefficients",
                      "must spell horizon*action_dim = " + std::to_string(expected));
  for (std::int64_t& value : values) value += config_.min_token;
  values.resize(expected, 0);
  return values;
}

void FastTokenizer::decode(std::span<const std::int64_t> tokens, int horizon, int action_dim, bool strict,
                           std::span<double> actions) const {
  const std::vector<std::int64_t> quantized = coefficients(tokens, horizon, action_dim, strict);
  if (actions.size() != quantized.size())
    throw ConfigError("actions", std::to_string(actions.size()) + " values",
                      "must hold horizon*action_dim = " + std::to_string(quantized.size()));
  std::vector<double> scaled(quantized.size());
  for (std::size_t i = 0; i < quantized.size(); ++i)
    scaled[i] = static_cast<double>(quantized[i]) / config_.scale;
  transform(horizon)->inverse(scaled, actions);
}

}  // namespace vla_rt
