#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "vla_rt/core/api.hpp"
#include "vla_rt/sampling/noise.hpp"

namespace vla_rt {

class Guidance;

/// The network as a sampler sees it: one evaluation on the whole state (a multiple of T x D values).
class VLA_RT_API Denoiser {
 public:
  virtual ~Denoiser();
  /// out = network(x, t). `stage` counts the evaluations of one chunk from 0 and indexes
  /// `Sampler::stage_times()`.
  virtual void evaluate(std::span<const float> x, int stage, double t, std::span<float> out) = 0;

  /// Whether `vjp` works.
  [[nodiscard]] virtual bool has_vjp() const noexcept { return false; }
  /// out = (d network(x, t) / d x)^T c. Only asked by guidance, right after `evaluate` of the same x and
  /// stage. The default throws ModelError.
  virtual void vjp(std::span<const float> x, int stage, double t, std::span<const float> c,
                   std::span<float> out);
};

/// Turns noise into a sample by repeated evaluation of a denoiser: float32 state, double schedule.
///
/// Immutable after construction, so that one sampler serves many threads; scratch memory belongs to the
/// caller.
class VLA_RT_API Sampler {
 public:
  virtual ~Sampler();

  /// Time of every evaluation, in call order.
  [[nodiscard]] virtual std::span<const double> stage_times() const noexcept = 0;
  /// Time at the start of every step (K entries).
  [[nodiscard]] virtual std::span<const double> timesteps() const noexcept = 0;
  /// Whether times are the whole numbers of training steps (diffusion) rather than real ones (flow).
  [[nodiscard]] virtual bool has_integer_times() const noexcept { return false; }
  /// Floats of scratch that `sample` needs for a state of n values.
  [[nodiscard]] virtual std::size_t scratch_size(std::size_t n) const noexcept = 0;

  /// In: x = standard normal noise; out: x = sample, unspecified after a throw. `step_noise` (K * n) replaces
  /// what a stochastic sampler would draw from `noise`, or is empty; the others check its size and do not use
  /// it. `guidance`, aimed at samples of this size, makes the sample continue a previous one. Allocates
  /// nothing apart from what the denoiser does. Throws ConfigError for a wrong size, a number in x or
  /// step_noise that is not finite, or guidance that this sampler or denoiser does not offer; ModelError when
  /// the denoiser returns a number that is not finite, or answers so large that the sample is not. Thread:
  /// any, each with its own denoiser, guidance and scratch.
  void sample(Denoiser& denoiser, std::span<float> x, const NoiseSource& noise,
              std::span<const float> step_noise, std::span<float> scratch,
              Guidance* guidance = nullptr) const;

 protected:
  /// The loop itself; sizes and inputs are checked, `scratch` has exactly `scratch_size(x.size())` floats.
  virtual void run(Denoiser& denoiser, std::span<float> x, const NoiseSource& noise,
                   std::span<const float> step_noise, std::span<float> scratch, Guidance* guidance) const = 0;
  /// Throws ConfigError unless `run` knows this kind of guidance. The default knows none.
  virtual void require_guidable(const Guidance& guidance) const;
  /// Evaluates `stage` and throws ModelError when the result is not finite.
  void evaluate(Denoiser& denoiser, std::span<const float> x, int stage, std::span<float> out) const;
};

}  // namespace vla_rt
