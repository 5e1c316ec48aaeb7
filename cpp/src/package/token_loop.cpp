#include "package/token_loop.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

TokenLoop::TokenLoop(const PolicySpec& spec, const std::filesystem::path& folder, Model& model)
    : spec_(std::get<AutoregressiveSpec>(spec.sampler)),
      sampler_(spec_),
      // NOLINTNEXTLINE(bugprone-unchecked-optional-access): a spec with this sampler has one
      tokens_(ActionTokens::make(*spec.tokenizer, spec.horizon, spec.action_dim, folder)),
      model_(model),
      logits_(model.output_size()) {
  if (tokens_->max_token() >= spec_.vocab_size)
    throw FormatError("policy.json#/sampler/vocab_size", std::to_string(spec_.vocab_size),
                      "must be above the tokenizer's last id, " + std::to_string(tokens_->max_token()));
  const int steps = spec_.parallel ? 1 : spec_.num_tokens;
  for (int k = 0; k < steps; ++k) positions_.push_back(k);
}

std::span<const float> TokenLoop::next_logits(std::span<const std::int64_t> tokens, int /*batch*/,
                                              int length) {
  const auto before = static_cast<float>(length == 0 ? spec_.start_token : tokens.back());
  model_.step({&before, 1}, length, logits_);
  const auto vocabulary = static_cast<std::size_t>(spec_.vocab_size);
  for (std::size_t begin = 0; begin < logits_.size(); begin += vocabulary) {
    const auto own = std::span(logits_).subspan(begin, vocabulary);
    const auto first = static_cast<std::size_t>(tokens_->min_token());
    const auto last = static_cast<std::size_t>(tokens_->max_token());
    const float stop = spec_.stop_token ? own[static_cast<std::size_t>(*spec_.stop_token)] : 0.0F;
    std::ranges::fill(own.first(first), -INFINITY);
    std::ranges::fill(own.subspan(last + 1), -INFINITY);
    if (spec_.stop_token) own[static_cast<std::size_t>(*spec_.stop_token)] = stop;
  }
  return logits_;
}

void TokenLoop::run(const NoiseSource& noise, std::span<double> actions) {
  (void)sampler_.sample(*this, 1, noise, workspace_);
  std::span<const std::int64_t> tokens = workspace_.tokens;
  if (spec_.stop_token)
    tokens =
        tokens.first(static_cast<std::size_t>(std::ranges::find(tokens, *spec_.stop_token) - tokens.begin()));
  try {
    tokens_->decode(tokens, actions);
  } catch (const ConfigError& e) {
    throw ModelError(e.name(), e.value(), e.bound());
  }
}

}  // namespace vla_rt
