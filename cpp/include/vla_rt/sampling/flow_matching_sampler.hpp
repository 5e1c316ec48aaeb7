#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/sampling/sampler.hpp"

namespace vla_rt {

/// Explicit solvers of dx/dt = v(x, t), with the order of their global error.
enum class OdeSolver : std::uint8_t {
  Euler,     ///< order 1, 1 evaluation per step
  Midpoint,  ///< order 2, 2 evaluations
  Heun,      ///< order 2, 2 evaluations
  Rk4,       ///< order 4, 4 evaluations
};

/// "euler", "midpoint", "heun", "rk4".
[[nodiscard]] VLA_RT_API const char* to_string(OdeSolver solver) noexcept;
/// Throws ConfigError naming `field` for any other text.
[[nodiscard]] VLA_RT_API OdeSolver ode_solver_from_string(const std::string& text, const std::string& field);

struct VLA_RT_API FlowMatchingOptions {
  int num_steps = 10;  ///< K, 1..1000
  OdeSolver solver = OdeSolver::Euler;
  int noise_at = 0;  ///< 0: x is noise at t = 0 and data at t = 1; 1: noise at t = 1 and data at t = 0 (pi0)
  /// Of a network trained for real-time chunking: it takes up to so many rows at the front clean, 0..255. A
  /// time t + 2 d then says that the first d rows are.
  int max_delay = 0;

  [[nodiscard]] bool operator==(const FlowMatchingOptions&) const = default;
  /// Throws ConfigError naming the field.
  void validate() const;
};

/// Integrates a learned velocity field from noise to data in K equal steps.
///
/// The denoiser returns dx/dt in the model's own time: data - noise for `noise_at` 0, noise - data for 1
/// (then dt is negative). Guidance acts at every stage; with `max_delay` its rows up to the delay are given
/// instead, as they are, and the network continues them. `stage_times` then holds the stages with 0, 1, ...
/// max_delay rows given one after the other. Sources: Lipman et al. 2023 (flow matching); openpi for
/// `noise_at` 1; Black et al. 2025, "Training-Time Action Conditioning for Efficient Real-Time Chunking".
/// Real-time: as the denoiser. Thread: immutable; any number of threads.
class VLA_RT_API FlowMatchingSampler final : public Sampler {
 public:
  explicit FlowMatchingSampler(const FlowMatchingOptions& options = {});

  [[nodiscard]] const FlowMatchingOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::span<const double> stage_times() const noexcept override { return stage_times_; }
  [[nodiscard]] std::span<const double> timesteps() const noexcept override { return timesteps_; }
  [[nodiscard]] std::size_t scratch_size(std::size_t n) const noexcept override;

  [[nodiscard]] int num_evaluations() const noexcept override;
  [[nodiscard]] int stage_of(const Sampling& s, int evaluation) const noexcept override;
  void begin(const Sampling& s) const noexcept override;
  [[nodiscard]] std::span<const float> point(const Sampling& s, int stage) const noexcept override;
  [[nodiscard]] std::span<float> answer(const Sampling& s) const noexcept override;
  void absorb(const Sampling& s, int stage) const noexcept override;

 protected:
  void require_guidable(const Guidance& guidance) const override;
  void guide(Denoiser& denoiser, Guidance& guidance, const Sampling& s, int stage) const override;

 private:
  /// Of a guided sample of a network trained for it: rows that are taken as they are.
  [[nodiscard]] int given_rows(const Sampling& s) const noexcept;

  FlowMatchingOptions options_;
  std::vector<double> timesteps_, stage_times_;
};

}  // namespace vla_rt
