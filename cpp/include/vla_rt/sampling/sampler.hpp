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

/// A sample in the making: memory of the caller's, which stays until the sample is done.
struct Sampling {
  std::span<float> x;                      ///< (n) in: standard normal noise; out: the sample
  std::span<float> scratch;                ///< `Sampler::scratch_size(n)` floats
  NoiseSource noise;                       ///< what a stochastic sampler draws from
  std::span<const float> step_noise = {};  ///< (K n) instead of that; or empty
  const Guidance* guidance = nullptr;      ///< what the sample continues; or null
};

/// What a network's answer must not be.
struct AnswerDefect {
  std::size_t index = 0;
  const char* bound = nullptr;  ///< what value `index` breaks; null: the answer is good
};

/// Turns noise into a sample by repeated evaluation of a denoiser: float32 state, double schedule.
///
/// `sample` does it in one call. The same piece by piece, for a caller that has little time at once: `begin`;
/// then, `num_evaluations` times, the network's answer at `point` and at the time of `stage_of` is written to
/// `answer`, and `absorb` takes it; after the last one x is the sample, the same bits as `sample` makes.
/// Immutable after construction, so that one sampler serves many threads; scratch memory belongs to the
/// caller.
class VLA_RT_API Sampler {
 public:
  virtual ~Sampler();

  /// Times that the network may be evaluated at, which are the evaluations in call order unless a sampler
  /// says otherwise.
  [[nodiscard]] virtual std::span<const double> stage_times() const noexcept = 0;
  /// Evaluations of the network per sample.
  [[nodiscard]] virtual int num_evaluations() const noexcept;
  /// Time at the start of every step (K entries).
  [[nodiscard]] virtual std::span<const double> timesteps() const noexcept = 0;
  /// Whether times are the whole numbers of training steps (diffusion) rather than real ones (flow).
  [[nodiscard]] virtual bool has_integer_times() const noexcept { return false; }
  /// Floats of scratch that a state of n values needs.
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

  /// Prepares a sample in the making, whose sizes are right and whose noise is finite.
  /// Real-time: this and the ones below: no allocation, do not throw, bounded by n.
  virtual void begin(const Sampling& s) const noexcept = 0;
  /// Which of the `stage_times` an evaluation is at.
  [[nodiscard]] virtual int stage_of(const Sampling& s, int evaluation) const noexcept;
  /// Where the network is to be evaluated (n).
  [[nodiscard]] virtual std::span<const float> point(const Sampling& s, int evaluation) const noexcept = 0;
  /// Where its answer goes.
  [[nodiscard]] virtual std::span<float> answer(const Sampling& s) const noexcept = 0;
  /// The first number of an answer that `absorb` must not see. The default wants all of them finite.
  [[nodiscard]] virtual AnswerDefect find_defect(std::span<const float> answer) const noexcept;
  /// Takes the answer of an evaluation, which has no defect; they come in order.
  virtual void absorb(const Sampling& s, int evaluation) const noexcept = 0;

 protected:
  /// Throws ConfigError unless this kind of guidance can be followed. The default follows none.
  virtual void require_guidable(const Guidance& guidance) const;
  /// Guides the answer of an evaluation in place, where that is done before it is absorbed. The default does
  /// not.
  virtual void guide(Denoiser& denoiser, Guidance& guidance, const Sampling& s, int evaluation) const;
};

}  // namespace vla_rt
