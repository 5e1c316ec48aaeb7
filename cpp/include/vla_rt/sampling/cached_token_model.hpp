#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/inference/model.hpp"
#include "vla_rt/sampling/autoregressive_sampler.hpp"

namespace vla_rt {

/// A network over tokens that keeps its own keys and values, as the autoregressive sampler sees it: every
/// call hands over the newest token alone.
///
/// Call the model's `prepare` (positions 0..N-1) and `encode` first. Thread: as the model. Real-time: as the
/// model; allocates nothing itself.
class VLA_RT_API CachedTokenModel final : public TokenModel {
 public:
  /// Throws ConfigError for a model that is not over tokens and for a start token outside 0..2^24, up to
  /// which a float holds every whole number.
  CachedTokenModel(Model& model, std::int64_t start_token);

  /// Throws ConfigError for a batch other than 1 and for a sequence that does not go on where the last call
  /// ended (length 0 starts again), ModelError as `Model::step`.
  std::span<const float> next_logits(std::span<const std::int64_t> tokens, int batch, int length) override;

 private:
  Model& model_;
  float start_token_;
  int next_length_ = 0;
  std::vector<float> logits_;
};

}  // namespace vla_rt
