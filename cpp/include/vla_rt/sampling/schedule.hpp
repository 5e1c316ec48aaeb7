#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// How the variance beta_t of the forward process grows over the training steps.
enum class BetaSchedule : std::uint8_t {
  Linear,           ///< evenly from beta_start to beta_end
  ScaledLinear,     ///< square roots evenly
  SquaredCosCapV2,  ///< Nichol & Dhariwal 2021, beta at most 0.999; beta_start and beta_end are not used
};
/// What the network answers.
enum class Prediction : std::uint8_t {
  Epsilon,      ///< the noise
  Sample,       ///< the clean sample x0
  VPrediction,  ///< sqrt(abar) noise - sqrt(1-abar) x0 (Salimans & Ho 2022)
};
/// Which K of the N training steps are visited (Lin et al. 2023, table 2).
enum class TimestepSpacing : std::uint8_t { Leading, Linspace, Trailing };

/// "linear", "scaled_linear", "squaredcos_cap_v2"; "epsilon", "sample", "v_prediction"; "leading",
/// "linspace", "trailing".
[[nodiscard]] VLA_RT_API const char* to_string(BetaSchedule schedule) noexcept;
[[nodiscard]] VLA_RT_API const char* to_string(Prediction prediction) noexcept;
[[nodiscard]] VLA_RT_API const char* to_string(TimestepSpacing spacing) noexcept;
/// Throw ConfigError naming `field` and the accepted texts for any other text.
[[nodiscard]] VLA_RT_API BetaSchedule beta_schedule_from_string(const std::string& text,
                                                                const std::string& field);
[[nodiscard]] VLA_RT_API Prediction prediction_from_string(const std::string& text, const std::string& field);
[[nodiscard]] VLA_RT_API TimestepSpacing timestep_spacing_from_string(const std::string& text,
                                                                      const std::string& field);

/// What all diffusion samplers share. Names and defaults as the schedulers of `diffusers`.
struct VLA_RT_API DiffusionOptions {
  int num_train_steps = 1000;  ///< N, 1..10000
  BetaSchedule beta_schedule = BetaSchedule::Linear;
  double beta_start = 1e-4;  ///< in (0, 1)
  double beta_end = 0.02;    ///< in (0, 1)
  Prediction prediction = Prediction::Epsilon;
  bool clip_sample = true;  ///< clamp the predicted x0 to +-clip_range
  double clip_range = 1.0;  ///< > 0
  int num_steps = 10;       ///< K, 1..N
  TimestepSpacing timestep_spacing = TimestepSpacing::Leading;
  int steps_offset = 0;  ///< added to every timestep of leading spacing, 0..N-1

  [[nodiscard]] bool operator==(const DiffusionOptions&) const = default;
  /// Throws ConfigError naming the field.
  void validate() const;
};

/// abar_t = prod_{s<=t} (1 - beta_s), t = 0..N-1, rounded to float32 where PyTorch training code rounds:
/// these are the numbers a network has learned, and 1 - abar_0 keeps only three of their digits. Throws
/// ConfigError as `validate`, and where the noise vanishes (abar 1) or drowns the sample (0).
[[nodiscard]] VLA_RT_API std::vector<double> alphas_cumprod(const DiffusionOptions& options);

/// The K visited steps, descending. Throws ConfigError as `validate`, and when the offset leads outside
/// 0..N-1.
[[nodiscard]] VLA_RT_API std::vector<int> diffusion_timesteps(const DiffusionOptions& options);

}  // namespace vla_rt
