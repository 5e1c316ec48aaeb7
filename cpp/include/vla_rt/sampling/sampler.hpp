#pragma once
#include <cstdint>
#include <span>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// The network as a sampler sees it: one evaluation on the whole state (a multiple of T x D values).
class VLA_RT_API Denoiser {
 public:
  virtual ~Denoiser();
  /// out = network(x, t). `stage` counts the evaluations of one chunk from 0 and indexes `Sampler::stage_times()`.
  virtual void evaluate(std::span<const float> x, int stage, double t, std::span<float> out) = 0;
};

/// Turns noise into a sample by repeated evaluation of a denoiser: float32 state, double schedule.
///
/// Immutable after construction, so that one sampler serves many threads; scratch memory belongs to the caller.
class VLA_RT_API Sampler {
 public:
  virtual ~Sampler();

  /// Time of every evaluation, in call order.
  [[nodiscard]] virtual std::span<const double> stage_times() const noexcept = 0;
  /// Time at the start of every step (K entries).
  [[nodiscard]] virtual std::span<const double> timesteps() const noexcept = 0;
  /// Floats of scratch that `sample` needs for a state of n values.
  [[nodiscard]] virtual std::size_t scratch_size(std::size_t n) const noexcept = 0;

  /// In: x = initial noise; out: x = sample. `step_noise` (K * n) replaces the sampler's own noise, or is empty;
  /// `seed` feeds the sampler's own. Allocates nothing apart from what the denoiser does.
  virtual void sample(Denoiser& denoiser, std::span<float> x, std::uint64_t seed, std::span<const float> step_noise,
                      std::span<float> scratch) const = 0;
};

}  // namespace vla_rt
