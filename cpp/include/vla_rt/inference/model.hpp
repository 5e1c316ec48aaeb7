#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/tensor.hpp"

namespace vla_rt {

/// A two-stage policy network, whatever runs it: native engine, TorchScript, AOTInductor, a Python callable.
///
/// `encode` sees the observation once per chunk and keeps the context inside; `step` runs K times per chunk:
/// on the noisy chunk x (T, D) of a diffusion, flow or direct policy, or on the token before (1) of a token
/// policy, whose k-th step answers the logits of token k and may keep keys and values of the steps before in
/// the context. What depends only on the step time is computed by `prepare`, at load. Thread: one thread at a
/// time. Real-time: no, unless a backend says otherwise.
class VLA_RT_API Model {
 public:
  virtual ~Model();

  /// What `encode` takes, in order; batch dimension left out.
  [[nodiscard]] virtual std::span<const TensorSpec> observation_spec() const noexcept = 0;
  [[nodiscard]] virtual int horizon() const noexcept = 0;
  [[nodiscard]] virtual int action_dim() const noexcept = 0;
  /// Numbers that `step` takes and answers: T * D each, unless the sampler wants others.
  [[nodiscard]] virtual std::size_t input_size() const noexcept;
  [[nodiscard]] virtual std::size_t output_size() const noexcept;
  /// "native", "torchscript", ...
  [[nodiscard]] virtual std::string backend() const = 0;

  /// Whether `encode` and `step` allocate nothing, take no lock, make no system call, and do bounded work;
  /// they throw for arguments of a wrong size and for ids without a row alone.
  [[nodiscard]] virtual bool is_realtime() const noexcept { return false; }

  /// Announces the times that `step` will be called with; `step` takes indices into this list.
  virtual void prepare(std::span<const double> times) = 0;
  /// Normalised observation tensors in the order of `observation_spec()`. Throws ConfigError for another
  /// shape or dtype, ModelError when the backend fails.
  virtual void encode(std::span<const TensorView> observation) = 0;
  /// out (output_size) = network(x (input_size), times[k], context). Throws ModelError when the backend
  /// fails.
  virtual void step(std::span<const float> x, int k, std::span<float> out) = 0;

  /// Makes `step_vjp` work where that takes preparation, which costs time and memory once; the default does
  /// nothing. Throws ModelError naming what has no derivative.
  virtual void prepare_vjp();
  /// Whether `step_vjp` works now.
  [[nodiscard]] virtual bool has_vjp() const noexcept { return false; }
  /// out (T, D) = (d network / d x)^T c (T, D) at (x, times[k], context). The default throws ModelError.
  virtual void step_vjp(std::span<const float> x, int k, std::span<const float> c, std::span<float> out);
};

}  // namespace vla_rt
