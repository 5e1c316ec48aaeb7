#pragma once
#include <array>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/sampling/sampler.hpp"
#include "vla_rt/sampling/schedule.hpp"

namespace vla_rt {

/// The loop of every diffusion sampler: they differ in a table of coefficients alone.
///
/// Step k evaluates m = network(x, t_k), predicts the clean sample x0_k = clip(p_x x + p_m m) and moves to
/// x <- c_x x + c_m m + sum_j c_j x0_{k-j} + c_z z, j = 0..2, with standard normal z. Guidance (identity
/// Jacobian only) acts on x0_k after the clipping, and m then is what would have predicted that x0_k.
/// Real-time: as the denoiser. Thread: immutable; any number of threads.
class VLA_RT_API DiffusionSampler : public Sampler {
 public:
  static constexpr int kMaxOrder = 3;

  [[nodiscard]] std::span<const double> stage_times() const noexcept override { return timesteps_; }
  [[nodiscard]] std::span<const double> timesteps() const noexcept override { return timesteps_; }
  [[nodiscard]] bool has_integer_times() const noexcept override { return true; }
  [[nodiscard]] std::size_t scratch_size(std::size_t n) const noexcept override;
  void begin(const Sampling& s) const noexcept override;
  [[nodiscard]] std::span<const float> point(const Sampling& s, int stage) const noexcept override;
  [[nodiscard]] std::span<float> answer(const Sampling& s) const noexcept override;
  void absorb(const Sampling& s, int stage) const noexcept override;

 protected:
  struct Step {
    double predict_x = 0, predict_m = 0;    ///< p_x, p_m
    double x = 0, m = 0, noise = 0;         ///< c_x, c_m, c_z
    std::array<double, kMaxOrder> clean{};  ///< c_0, c_1, c_2
    double tau = 0;  ///< how clean x is: sqrt(abar) / (sqrt(abar) + sqrt(1 - abar)); for guidance
  };

  /// `clip_range` 0 means no clipping; `history` is the number of x0 that the steps look at.
  DiffusionSampler(const std::vector<int>& timesteps, std::vector<Step> steps, double clip_range,
                   int history);

  void require_guidable(const Guidance& guidance) const override;

 private:
  std::vector<double> timesteps_;
  std::vector<Step> steps_;
  double clip_range_;
  int history_;
};

}  // namespace vla_rt
