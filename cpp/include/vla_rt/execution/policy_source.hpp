#pragma once
#include <cstdint>
#include <memory>

#include "vla_rt/core/api.hpp"
#include "vla_rt/execution/chunk_source.hpp"
#include "vla_rt/package/policy.hpp"

namespace vla_rt {

/// A policy package as the source of chunks: chunk i is sampled with the noise of (seed, i), so that a run
/// repeats. With mode Rtc every chunk continues the one before as `guidance` says.
class VLA_RT_API PolicySource final : public ChunkSource {
 public:
  /// Throws ConfigError without a policy; ModelError when `guidance` wants a derivative that the network has
  /// not.
  explicit PolicySource(std::shared_ptr<Policy> policy, std::uint64_t seed = 0,
                        const GuidanceOptions& guidance = {});
  ~PolicySource() override;
  [[nodiscard]] ObservationWindow window() const noexcept override;

  void infer(const Observation& observation, ActionChunk& chunk) override;
  void infer_continuing(const Observation& observation, const ChunkPrefix& previous,
                        ActionChunk& chunk) override;

  [[nodiscard]] const std::shared_ptr<Policy>& policy() const noexcept { return policy_; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

 private:
  std::shared_ptr<Policy> policy_;
  std::uint64_t seed_, chunks_ = 0;
  GuidanceOptions guidance_;
};

}  // namespace vla_rt
