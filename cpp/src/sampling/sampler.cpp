#include "vla_rt/sampling/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "vla_rt/core/errors.hpp"
#include "vla_rt/sampling/guidance.hpp"

namespace vla_rt {
namespace {

/// Index of the first value that is not finite, or the size.
std::size_t first_bad(std::span<const float> values) {
  const auto it = std::ranges::find_if_not(values, [](float v) { return std::isfinite(v); });
  return static_cast<std::size_t>(it - values.begin());
}

void require_finite(const char* name, std::span<const float> values) {
  if (const std::size_t i = first_bad(values); i < values.size())
    throw ConfigError(indexed(name, static_cast<long>(i)), number(values[i]), "must be finite");
}

}  // namespace

Denoiser::~Denoiser() = default;
void Denoiser::vjp(std::span<const float> /*x*/, int /*stage*/, double /*t*/, std::span<const float> /*c*/,
                   std::span<float> /*out*/) {
  throw ModelError("vjp", "", "this network offers no vector-Jacobian product");
}
Sampler::~Sampler() = default;

void Sampler::sample(Denoiser& denoiser, std::span<float> x, const NoiseSource& noise,
                     std::span<const float> step_noise, std::span<float> scratch, Guidance* guidance) const {
  const std::size_t needed = scratch_size(x.size());
  if (scratch.size() < needed)
    throw ConfigError("scratch", std::to_string(scratch.size()),
                      "must have at least " + std::to_string(needed));
  const std::size_t steps = timesteps().size();
  if (!step_noise.empty() && step_noise.size() != steps * x.size())
    throw ConfigError("step_noise", std::to_string(step_noise.size()) + " values",
                      "must have K x n = " + std::to_string(steps * x.size()));
  require_finite("noise", x);
  require_finite("step_noise", step_noise);
  if (guidance) {
    require_guidable(*guidance);
    if (guidance->size() != x.size())
      throw ConfigError("guidance", std::to_string(guidance->size()) + " values",
                        "must be aimed at " + std::to_string(x.size()));
    if (guidance->options().jacobian == GuidanceJacobian::Vjp && !denoiser.has_vjp())
      throw ConfigError("jacobian", "vjp",
                        "this network offers no vector-Jacobian product; use identity or finite_differences");
  }
  const Sampling s{x, scratch.first(needed), noise, step_noise, guidance};
  begin(s);
  for (int i = 0; i < num_evaluations(); ++i) {
    const std::span<float> out = answer(s);
    const int stage = stage_of(s, i);
    denoiser.evaluate(point(s, i), stage, stage_times()[static_cast<std::size_t>(stage)], out);
    if (const AnswerDefect defect = find_defect(out); defect.bound != nullptr)
      throw ModelError(indexed("denoiser output", static_cast<long>(defect.index)),
                       number(static_cast<double>(out[defect.index])),
                       std::string(defect.bound) + " (evaluation " + std::to_string(stage) + ")");
    if (guidance) guide(denoiser, *guidance, s, i);
    absorb(s, i);
  }
  if (const std::size_t i = first_bad(x); i < x.size())
    throw ModelError(indexed("sample", static_cast<long>(i)), number(x[i]),
                     "must be finite; the network's answers are too large");
}

int Sampler::num_evaluations() const noexcept { return static_cast<int>(stage_times().size()); }

int Sampler::stage_of(const Sampling& /*s*/, int evaluation) const noexcept { return evaluation; }

AnswerDefect Sampler::find_defect(std::span<const float> answer) const noexcept {
  const std::size_t i = first_bad(answer);
  return {i, i < answer.size() ? "must be finite" : nullptr};
}

void Sampler::require_guidable(const Guidance& /*guidance*/) const {
  throw ConfigError("guidance", "", "is offered by flow matching and the diffusion samplers alone");
}

void Sampler::guide(Denoiser& /*denoiser*/, Guidance& /*guidance*/, const Sampling& /*s*/,
                    int /*evaluation*/) const {}

}  // namespace vla_rt
