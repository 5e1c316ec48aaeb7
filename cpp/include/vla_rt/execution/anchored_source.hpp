#pragma once
#include <memory>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/execution/chunk_source.hpp"

namespace vla_rt {

/// A policy whose actions are relative to the state it saw, as absolute ones: row + state on `dims`.
///
/// What a chunk shall continue is anchored anew: the rows of the plan minus the state of the new observation,
/// so that chunks of different observations speak of the same motion (pi0's and GR00T's relative actions).
class VLA_RT_API AnchoredSource final : public ChunkSource {
 public:
  /// Claims the source as long as this lives. `feature`: a float32 feature of the observation whose element d
  /// (at the present, where the source looks back) is the state of dim d. Throws ConfigError without a source
  /// or for a dim that is there twice or not in 0..kMaxActionDim-1.
  AnchoredSource(std::shared_ptr<ChunkSource> source, std::string feature, std::vector<int> dims);
  ~AnchoredSource() override;
  [[nodiscard]] ObservationWindow window() const noexcept override;

  /// Throws ConfigError, besides what the source throws, when the observation has no such feature or a dim
  /// lies beyond the feature or the chunk.
  void infer(const Observation& observation, ActionChunk& chunk) override;
  void infer_continuing(const Observation& observation, const ChunkPrefix& previous,
                        ActionChunk& chunk) override;

 private:
  [[nodiscard]] const float* state_of(const Observation& observation) const;
  void require_dims(int action_dim) const;
  void add(const float* state, ActionChunk& chunk) const;

  std::shared_ptr<ChunkSource> source_;
  Claim claim_;
  std::string feature_;
  std::vector<int> dims_;
  std::vector<double> relative_;
};

}  // namespace vla_rt
