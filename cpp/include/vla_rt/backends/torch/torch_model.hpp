#pragma once
#include <memory>
#include <string>

#include "vla_rt/core/api.hpp"
#include "vla_rt/inference/backend_registry.hpp"
#include "vla_rt/inference/model.hpp"

namespace vla_rt {

/// The stages of a network as a libtorch backend runs them.
class TorchStages;

/// What the networks that libtorch runs share, on the calling thread alone:
///   `prepare(t (1,)) -> rows` once per step time, at load; `encode(*observation) -> context` once per chunk;
///   `step(x (1, *input), rows, context) -> (1, *output)`, float32; input and output are the signature's
///   shapes. `step` may change the context in place (a cache of keys and values); `encode` makes a new one.
///
/// Inputs live in tensors made at load, on the signature's device; the first, slow calls are made by
/// `prepare`. Inference mode and one intra-op thread hold during a call and are put back after it, so that
/// the embedding program keeps its own torch settings. Thread: one thread at a time, any thread. Real-time:
/// no (libtorch allocates).
class VLA_RT_API TorchModel : public Model {
 public:
  ~TorchModel() override;

  [[nodiscard]] std::span<const TensorSpec> observation_spec() const noexcept override;
  [[nodiscard]] int horizon() const noexcept override;
  [[nodiscard]] int action_dim() const noexcept override;
  [[nodiscard]] std::size_t input_size() const noexcept override;
  [[nodiscard]] std::size_t output_size() const noexcept override;
  [[nodiscard]] std::string backend() const override;

  void prepare(std::span<const double> times) override;
  void encode(std::span<const TensorView> observation) override;
  void step(std::span<const float> x, int k, std::span<float> out) override;
  [[nodiscard]] bool has_vjp() const noexcept override;
  void step_vjp(std::span<const float> x, int k, std::span<const float> c, std::span<float> out) override;

 protected:
  /// `file` is named in errors. Throws ModelError when the stages fail for inputs of zeros or answer another
  /// shape.
  TorchModel(std::string backend, std::string file, const ModelSignature& signature,
             std::unique_ptr<TorchStages> stages);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Registers "torchscript" (file `model.ts` of a package) and "aotinductor" (`model.pt2`) with the backend
/// registry.
VLA_RT_API void register_torch_backends();

/// The torch release this library was compiled against, e.g. "2.13.0".
[[nodiscard]] VLA_RT_API const char* compiled_torch_version() noexcept;

}  // namespace vla_rt
