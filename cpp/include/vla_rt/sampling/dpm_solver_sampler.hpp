#pragma once
#include <cstdint>
#include <string>

#include "vla_rt/core/api.hpp"
#include "vla_rt/sampling/diffusion_sampler.hpp"

namespace vla_rt {

enum class DPMAlgorithm : std::uint8_t { DPMSolverPlusPlus, SDEDPMSolverPlusPlus };
/// Which second-order update.
enum class DPMSolverType : std::uint8_t { Midpoint, Heun };
/// Where the last step ends: at the clean sample, or at the noise of timestep 0.
enum class FinalSigmas : std::uint8_t { Zero, SigmaMin };

/// "dpmsolver++", "sde-dpmsolver++"; "midpoint", "heun"; "zero", "sigma_min".
[[nodiscard]] VLA_RT_API const char* to_string(DPMAlgorithm algorithm) noexcept;
[[nodiscard]] VLA_RT_API const char* to_string(DPMSolverType type) noexcept;
[[nodiscard]] VLA_RT_API const char* to_string(FinalSigmas type) noexcept;
/// Throw ConfigError naming `field` and the accepted texts for any other text.
[[nodiscard]] VLA_RT_API DPMAlgorithm dpm_algorithm_from_string(const std::string& text,
                                                                const std::string& field);
[[nodiscard]] VLA_RT_API DPMSolverType dpm_solver_type_from_string(const std::string& text,
                                                                   const std::string& field);
[[nodiscard]] VLA_RT_API FinalSigmas final_sigmas_from_string(const std::string& text,
                                                              const std::string& field);

struct VLA_RT_API DPMSolverOptions : DiffusionOptions {
  DPMSolverOptions() noexcept {
    clip_sample = false;
    timestep_spacing = TimestepSpacing::Linspace;
  }

  DPMAlgorithm algorithm_type = DPMAlgorithm::DPMSolverPlusPlus;
  int solver_order = 2;  ///< 1..3
  DPMSolverType solver_type = DPMSolverType::Midpoint;
  bool lower_order_final = true;  ///< below 15 steps, the last ones use a lower order
  FinalSigmas final_sigmas_type = FinalSigmas::Zero;
  bool use_karras_sigmas = false;  ///< noise levels of Karras et al. 2022, rho 7, instead of the spacing

  [[nodiscard]] bool operator==(const DPMSolverOptions&) const = default;
  /// Throws ConfigError naming the field.
  void validate() const;
};

/// Multistep exponential integrator of the diffusion ODE or SDE in the clean sample, orders 1 to 3.
///
/// Linspace and leading spacing lay K + 1 points and drop the last; a step to the clean sample is of order 1;
/// where two visited noise levels coincide the step between them stands still and the next one is of a lower
/// order. Source: Lu et al. 2022 (DPM-Solver++); conventions of `diffusers.DPMSolverMultistepScheduler`.
class VLA_RT_API DPMSolverSampler final : public DiffusionSampler {
 public:
  /// Throws ConfigError naming the field.
  explicit DPMSolverSampler(const DPMSolverOptions& options);
  [[nodiscard]] const DPMSolverOptions& options() const noexcept { return options_; }

 private:
  struct Path;
  static Path make_path(const DPMSolverOptions& options);
  static std::vector<Step> make_steps(const DPMSolverOptions& options, const std::vector<double>& sigmas);
  DPMSolverSampler(const DPMSolverOptions& options, const Path& path);
  DPMSolverOptions options_;
};

}  // namespace vla_rt
