#include "vla_rt/sampling/ddpm_sampler.hpp"

#include <algorithm>
#include <cmath>

#include "sampling/prediction_coefficients.hpp"

namespace vla_rt {

DDPMSampler::DDPMSampler(const DiffusionOptions& options)
    : DiffusionSampler(diffusion_timesteps(options), make_steps(options),
                       options.clip_sample ? options.clip_range : 0, 1),
      options_(options) {}

std::vector<DiffusionSampler::Step> DDPMSampler::make_steps(const DiffusionOptions& options) {
  const std::vector<double> abars = alphas_cumprod(options);
  const std::vector<int> timesteps = diffusion_timesteps(options);
  std::vector<Step> steps(timesteps.size());
  for (std::size_t k = 0; k < steps.size(); ++k) {
    const double abar = abars[static_cast<std::size_t>(timesteps[k])];
    const double previous = k + 1 < steps.size() ? abars[static_cast<std::size_t>(timesteps[k + 1])] : 1.0;
    const double alpha = abar / previous, beta = 1 - alpha;
    const Mix clean = clean_of(options.prediction, std::sqrt(abar), std::sqrt(1 - abar));
    Step& step = steps[k];
    step.predict_x = clean.x;
    step.predict_m = clean.m;
    step.tau = std::sqrt(abar) / (std::sqrt(abar) + std::sqrt(1 - abar));
    step.clean[0] = std::sqrt(previous) * beta / (1 - abar);
    step.x = std::sqrt(alpha) * (1 - previous) / (1 - abar);
    if (timesteps[k] > 0) step.noise = std::sqrt(std::max((1 - previous) / (1 - abar) * beta, 1e-20));
  }
  return steps;
}

}  // namespace vla_rt
