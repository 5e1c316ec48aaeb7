#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "package/action_tokens.hpp"
#include "vla_rt/inference/model.hpp"
#include "vla_rt/sampling/autoregressive_sampler.hpp"

namespace vla_rt {

/// Draws the tokens of a chunk from a network and decodes them.
///
/// The network's k-th step takes the token before, at first the start token, and answers the logits of token
/// k (with parallel decoding the one step those of all tokens). Ids that the tokenizer does not have are
/// forbidden, apart from the stop token.
class TokenLoop final : private TokenModel {
 public:
  /// Throws ConfigError or FormatError when the tokenizer cannot be made or does not fit the sampler.
  TokenLoop(const PolicySpec& spec, const std::filesystem::path& folder, Model& model);

  /// The positions: what `Model::prepare` is given.
  [[nodiscard]] std::span<const double> stage_times() const noexcept { return positions_; }
  /// Actions (T, D) in normalised units, for the observation encoded last. Throws ModelError when the network
  /// fails or its tokens spell no chunk.
  void run(const NoiseSource& noise, std::span<double> actions);

 private:
  std::span<const float> next_logits(std::span<const std::int64_t> tokens, int batch, int length) override;

  AutoregressiveSpec spec_;
  AutoregressiveSampler sampler_;
  std::unique_ptr<const ActionTokens> tokens_;
  std::vector<double> positions_;
  AutoregressiveSampler::Workspace workspace_;
  Model& model_;
  std::vector<float> logits_;
};

}  // namespace vla_rt
