#pragma once
#include "vla_rt/core/api.hpp"
#include "vla_rt/sampling/diffusion_sampler.hpp"

namespace vla_rt {

/// Ancestral sampling with the posterior variance ("fixed_small"), without noise at timestep 0.
///
/// The step before a visited timestep is the next visited one, and after the last one the clean sample.
/// Source: Ho, Jain, Abbeel 2020; conventions of `diffusers.DDPMScheduler`.
class VLA_RT_API DDPMSampler final : public DiffusionSampler {
 public:
  /// Throws ConfigError naming the field.
  explicit DDPMSampler(const DiffusionOptions& options);
  [[nodiscard]] const DiffusionOptions& options() const noexcept { return options_; }

 private:
  static std::vector<Step> make_steps(const DiffusionOptions& options);
  DiffusionOptions options_;
};

}  // namespace vla_rt
