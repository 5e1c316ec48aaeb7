#pragma once
#include <span>
#include <string>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/tensor.hpp"

namespace vla_rt {

/// A two-stage policy network, whatever runs it: native engine, TorchScript, AOTInductor, a Python callable.
///
/// `encode` sees the observation once per chunk and keeps the context inside; `step` runs K times per chunk
/// on the noisy chunk x (T, D). What depends only on the step time is computed by `prepare`, at load.
///
/// A network over tokens (`vocabulary()` = V > 0) goes through the same calls: the times are the positions 0,
/// 1, ..., N-1, x is the token before (one whole number), and the answer holds the logits (V) of the token at
/// position k. Keys and values of the tokens before are kept inside, with room for N: after `encode`, `step`
/// is called with k = 0, 1, ... in order.
///
/// Thread: one thread at a time. Real-time: no, unless a backend says otherwise.
class VLA_RT_API Model {
 public:
  virtual ~Model();

  /// What `encode` takes, in order; batch dimension left out.
  [[nodiscard]] virtual std::span<const TensorSpec> observation_spec() const noexcept = 0;
  [[nodiscard]] virtual int horizon() const noexcept = 0;
  [[nodiscard]] virtual int action_dim() const noexcept = 0;
  /// V, the number of tokens that a network over tokens answers for; 0 for one over chunks.
  [[nodiscard]] virtual int vocabulary() const noexcept { return 0; }
  /// "native", "torchscript", ...
  [[nodiscard]] virtual std::string backend() const = 0;

  /// Announces the times that `step` will be called with; `step` takes indices into this list.
  virtual void prepare(std::span<const double> times) = 0;
  /// Normalised observation tensors in the order of `observation_spec()`. Throws ConfigError for another
  /// shape or dtype, ModelError when the backend fails.
  virtual void encode(std::span<const TensorView> observation) = 0;
  /// out (T, D) = network(x (T, D), times[k], context); over tokens x has 1 value and out V. Throws
  /// ModelError when the backend fails.
  virtual void step(std::span<const float> x, int k, std::span<float> out) = 0;

  /// Whether `step_vjp` works.
  [[nodiscard]] virtual bool has_vjp() const noexcept { return false; }
  /// out (T, D) = (d network / d x)^T c (T, D) at (x, times[k], context). The default throws ModelError.
  virtual void step_vjp(std::span<const float> x, int k, std::span<const float> c, std::span<float> out);
};

}  // namespace vla_rt
