#include "vla_rt/sampling/ddim_sampler.hpp"

#include <algorithm>
#include <cmath>

#include "sampling/prediction_coefficients.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

void DDIMOptions::validate() const {
  DiffusionOptions::validate();
  if (!(eta >= 0 && eta <= 1)) throw ConfigError("eta", number(eta), "must be in [0, 1]");
}

DDIMSampler::DDIMSampler(const DDIMOptions& options)
    : DiffusionSampler(diffusion_timesteps(options), make_steps(options),
                       options.clip_sample ? options.clip_range : 0, 1),
      options_(options) {}

std::vector<DiffusionSampler::Step> DDIMSampler::make_steps(const DDIMOptions& options) {
  options.validate();
  const std::vector<double> abars = alphas_cumprod(options);
  const std::vector<int> timesteps = diffusion_timesteps(options);
  const double final_abar = options.set_alpha_to_one ? 1.0 : abars.front();
  std::vector<Step> steps(timesteps.size());
  for (std::size_t k = 0; k < steps.size(); ++k) {
    const int before = timesteps[k] - options.num_train_steps / options.num_steps;
    const double abar = abars[static_cast<std::size_t>(timesteps[k])];
    const double previous = before >= 0 ? abars[static_cast<std::size_t>(before)] : final_abar;
    const double variance = (1 - previous) / (1 - abar) * (1 - abar / previous);
    const double alpha = std::sqrt(abar), sigma = std::sqrt(1 - abar);
    const Mix clean = clean_of(options.prediction, alpha, sigma);
    const Mix noise = noise_of(options.prediction, alpha, sigma);
    const double added = options.eta * std::sqrt(std::max(variance, 0.0));
    const double kept = std::sqrt(std::max(1 - previous - added * added, 0.0));
    Step& step = steps[k];
    step.predict_x = clean.x;
    step.predict_m = clean.m;
    step.clean[0] = std::sqrt(previous);
    step.x = kept * noise.x;
    step.m = kept * noise.m;
    step.noise = added;
    step.tau = alpha / (alpha + sigma);
  }
  return steps;
}

}  // namespace vla_rt
