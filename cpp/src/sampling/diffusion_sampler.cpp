#include "vla_rt/sampling/diffusion_sampler.hpp"

#include <algorithm>
#include <utility>

#include "vla_rt/core/errors.hpp"
#include "vla_rt/sampling/guidance.hpp"

namespace vla_rt {

DiffusionSampler::DiffusionSampler(const std::vector<int>& timesteps, std::vector<Step> steps,
                                   double clip_range, int history)
    : timesteps_(timesteps.begin(), timesteps.end()),
      steps_(std::move(steps)),
      clip_range_(clip_range),
      history_(history) {}

std::size_t DiffusionSampler::scratch_size(std::size_t n) const noexcept {
  return n * static_cast<std::size_t>(2 + history_);
}

void DiffusionSampler::require_guidable(const Guidance& guidance) const {
  if (guidance.options().jacobian != GuidanceJacobian::Identity)
    throw ConfigError("jacobian", to_string(guidance.options().jacobian),
                      "must be identity with diffusion samplers");
}

// Scratch: the answer, noise, and a ring of the newest clean samples.
void DiffusionSampler::begin(const Sampling& s) const noexcept { std::ranges::fill(s.scratch, 0.0F); }

std::span<const float> DiffusionSampler::point(const Sampling& s, int /*stage*/) const noexcept {
  return s.x;
}

std::span<float> DiffusionSampler::answer(const Sampling& s) const noexcept {
  return s.scratch.first(s.x.size());
}

void DiffusionSampler::absorb(const Sampling& s, int stage) const noexcept {
  const auto k = static_cast<std::size_t>(stage), n = s.x.size(), ring = static_cast<std::size_t>(history_);
  const Step& step = steps_[k];
  const std::span<float> x = s.x, own_noise = s.scratch.subspan(n, n);
  const std::span<const float> m = s.scratch.first(n);
  std::array<std::span<float>, kMaxOrder> clean{};  // newest first
  for (std::size_t j = 0; j < ring; ++j) clean[j] = s.scratch.subspan((2 + (k + ring - j) % ring) * n, n);
  std::span<const float> z = own_noise;
  if (step.noise != 0) {
    if (s.step_noise.empty()) {
      fill_noise(s.noise, static_cast<std::uint32_t>(k + 1), own_noise);
    } else {
      z = s.step_noise.subspan(k * n, n);
    }
  }
  const Guidance* const guidance = s.guidance;
  const double pull = guidance ? std::min(guidance->strength(step.tau) * (1 - step.tau), 1.0) : 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double xi = static_cast<double>(x[i]);
    double mi = static_cast<double>(m[i]);
    double x0 = step.predict_x * xi + step.predict_m * mi;
    if (clip_range_ > 0) x0 = std::clamp(x0, -clip_range_, clip_range_);
    if (const double w = guidance ? guidance->weight(i) : 0; w != 0) {
      x0 += pull * w * (guidance->target(i) - x0);
      mi = (x0 - step.predict_x * xi) / step.predict_m;
    }
    double next = step.x * xi + step.m * mi + step.clean[0] * x0;
    for (std::size_t j = 1; j < ring; ++j) next += step.clean[j] * static_cast<double>(clean[j][i]);
    if (step.noise != 0) next += step.noise * static_cast<double>(z[i]);
    clean[0][i] = static_cast<float>(x0);
    x[i] = static_cast<float>(next);
  }
}

}  // namespace vla_rt
