#include "vla_rt/execution/policy_source.hpp"

#include <utility>

#include "vla_rt/core/errors.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/sampling/noise.hpp"

namespace vla_rt {

PolicySource::PolicySource(std::shared_ptr<Policy> policy, std::uint64_t seed,
                           const GuidanceOptions& guidance)
    : policy_(std::move(policy)), seed_(seed), guidance_(guidance) {
  guidance_.validate();
  if (!policy_) throw ConfigError("policy", "", "must not be empty");
  if (guidance_.jacobian == GuidanceJacobian::Vjp) policy_->prepare_vjp();
}

PolicySource::~PolicySource() = default;

ObservationWindow PolicySource::window() const noexcept {
  return {policy_->spec().n_obs_steps, from_seconds(policy_->spec().period_s)};
}

void PolicySource::infer(const Observation& observation, ActionChunk& chunk) {
  policy_->sample(observation, NoiseSource(seed_, chunks_), chunk);
  ++chunks_;
}

void PolicySource::infer_continuing(const Observation& observation, const ChunkPrefix& previous,
                                    ActionChunk& chunk) {
  const Continuation continuation{previous, guidance_};
  policy_->sample(observation, NoiseSource(seed_, chunks_), chunk, {}, {}, &continuation);
  ++chunks_;
}

}  // namespace vla_rt
