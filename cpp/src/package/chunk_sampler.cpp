#include "vla_rt/package/chunk_sampler.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "package/policy_parts.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {
namespace {

constexpr double kLargest = 1e100;  // what a plan can be made through

std::shared_ptr<Policy> required(std::shared_ptr<Policy> policy) {
  if (!policy) throw ConfigError("policy", "", "must not be empty");
  return policy;
}

void require_pieces(const PolicySpec& spec, const Model& model, bool draws_tokens) {
  if (!model.is_realtime())
    throw ConfigError(
        "backend", model.backend(),
        "must be native to run inside a tick: export the policy with it, or run it in a thread");
  if (draws_tokens)
    throw ConfigError("sampler", "autoregressive",
                      "a token policy does not run inside a tick: run it in a thread of its own");
  for (const FeatureSpec& feature : spec.observation)
    if (feature.kind != FeatureKind::State || feature.tensor.dtype != DType::Float32)
      throw ConfigError(feature.tensor.name, to_string(feature.kind),
                        "must be float32 numbers for a policy inside a tick: run it in a thread of its own");
}

}  // namespace

ChunkSampler::ChunkSampler(std::shared_ptr<Policy> policy)
    : policy_(required(std::move(policy))), impl_(*policy_->impl_) {
  const std::lock_guard lock(impl_.mutex);
  require_pieces(impl_.spec, *impl_.model, impl_.tokens != nullptr);
  if (std::exchange(impl_.in_pieces, true))
    throw VlaRtError("the policy runs inside another control tick; load it once more");
  sampling_.x = impl_.x;
  sampling_.scratch = impl_.scratch;
}

ChunkSampler::~ChunkSampler() {
  const std::lock_guard lock(impl_.mutex);
  impl_.in_pieces = false;
}

const PolicySpec& ChunkSampler::spec() const noexcept { return impl_.spec; }

int ChunkSampler::num_steps() const noexcept { return impl_.sampler->num_evaluations(); }

bool ChunkSampler::set_feature(std::size_t i, std::span<const float> values) noexcept {
  if (i >= impl_.features.size() ||
      static_cast<std::int64_t>(values.size()) != impl_.spec.observation[i].tensor.num_elements())
    return false;
  return impl_.features[i].read(values);
}

void ChunkSampler::begin(const NoiseSource& source) noexcept {
  sampling_.noise = source;
  next_ = Piece::Encode;
  stage_ = 0;
}

bool ChunkSampler::advance() noexcept {
  const Sampler& sampler = *impl_.sampler;
  if (next_ == Piece::Done) return true;
  if (next_ == Piece::Encode) {
    fill_noise(sampling_.noise, 0, sampling_.x);
    impl_.model->encode(impl_.views);
    sampler.begin(sampling_);
    next_ = Piece::Step;
    return true;
  }
  const std::span<float> answer = sampler.answer(sampling_);
  impl_.model->step(sampler.point(sampling_, stage_), sampler.stage_of(sampling_, stage_), answer);
  defect_ = sampler.find_defect(answer);
  if (defect_.bound != nullptr) {
    next_ = Piece::Done;
    return false;
  }
  sampler.absorb(sampling_, stage_);
  if (++stage_ == num_steps()) next_ = Piece::Done;
  return true;
}

bool ChunkSampler::write(ActionChunk& chunk) noexcept {
  const PolicySpec& spec = impl_.spec;
  if (!std::ranges::all_of(impl_.x, [](float v) { return std::isfinite(v); })) return false;
  impl_.take_columns();
  impl_.action_normalizer.denormalize(impl_.actions, impl_.actions);  // throws for other numbers alone
  if (!std::ranges::all_of(impl_.actions, [](double v) { return std::fabs(v) <= kLargest; })) return false;
  chunk.horizon = spec.chunk_rows();
  chunk.action_dim = spec.action_dim;
  chunk.period_ns = from_seconds(spec.period_s);
  std::copy(impl_.actions.begin() + static_cast<std::ptrdiff_t>(spec.first_row) * spec.action_dim,
            impl_.actions.end(), chunk.values.begin());
  return true;
}

}  // namespace vla_rt
