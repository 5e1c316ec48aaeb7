#pragma once
#include "vla_rt/core/api.hpp"
#include "vla_rt/sampling/diffusion_sampler.hpp"

namespace vla_rt {

struct VLA_RT_API DDIMOptions : DiffusionOptions {
  double eta = 0;                ///< 0: deterministic .. 1: as much noise as DDPM
  bool set_alpha_to_one = true;  ///< the step after the last one has abar 1; otherwise abar of timestep 0

  [[nodiscard]] bool operator==(const DDIMOptions&) const = default;
  /// Throws ConfigError naming the field.
  void validate() const;
};

/// Implicit sampling: the same marginals as DDPM with eta times its noise.
///
/// The step before timestep t is t - N/K whatever is visited next, and the noise is not re-derived from the
/// clipped x0. Source: Song, Meng, Ermon 2021; conventions of `diffusers.DDIMScheduler`.
class VLA_RT_API DDIMSampler final : public DiffusionSampler {
 public:
  /// Throws ConfigError naming the field.
  explicit DDIMSampler(const DDIMOptions& options);
  [[nodiscard]] const DDIMOptions& options() const noexcept { return options_; }

 private:
  static std::vector<Step> make_steps(const DDIMOptions& options);
  DDIMOptions options_;
};

}  // namespace vla_rt
