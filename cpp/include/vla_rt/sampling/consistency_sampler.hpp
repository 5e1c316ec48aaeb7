#pragma once
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/sampling/sampler.hpp"

namespace vla_rt {

struct VLA_RT_API ConsistencyOptions {
  int num_steps = 1;        ///< K, 1..1000
  double sigma_min = 0.02;  ///< > 0
  double sigma_max = 80;    ///< > sigma_min
  double rho = 7;           ///< > 0
  double sigma_data = 0.5;  ///< > 0; of the scalings inside the consistency function, carried for its sake

  [[nodiscard]] bool operator==(const ConsistencyOptions&) const = default;
  /// Throws ConfigError naming the field.
  void validate() const;
};

/// One-step and chained sampling from a consistency function f(x, sigma) -> clean sample.
///
/// x = f(sigma_max z, sigma_max); then for every further level x = f(x + sqrt(sigma^2 - sigma_min^2) z,
/// sigma). The levels are the first K of K + 1 Karras points from sigma_max to sigma_min. `step_noise` k is
/// what is added after evaluation k; the last one is not used. Source: Song, Dhariwal, Chen, Sutskever 2023,
/// algorithm 1. Real-time: as the denoiser. Thread: immutable; any number of threads.
class VLA_RT_API ConsistencySampler final : public Sampler {
 public:
  /// Throws ConfigError naming the field.
  explicit ConsistencySampler(const ConsistencyOptions& options = {});

  [[nodiscard]] const ConsistencyOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::span<const double> stage_times() const noexcept override { return sigmas_; }
  [[nodiscard]] std::span<const double> timesteps() const noexcept override { return sigmas_; }
  [[nodiscard]] std::size_t scratch_size(std::size_t n) const noexcept override { return 2 * n; }
  void begin(const Sampling& s) const noexcept override;
  [[nodiscard]] std::span<const float> point(const Sampling& s, int stage) const noexcept override;
  [[nodiscard]] std::span<float> answer(const Sampling& s) const noexcept override;
  void absorb(const Sampling& s, int stage) const noexcept override;

 private:
  ConsistencyOptions options_;
  std::vector<double> sigmas_;
};

}  // namespace vla_rt
