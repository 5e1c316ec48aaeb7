#pragma once
#include <filesystem>
#include <memory>

#include "vla_rt/core/api.hpp"
#include "vla_rt/inference/backend_registry.hpp"
#include "vla_rt/inference/model.hpp"

namespace vla_rt {

/// A network in one TorchScript file with two methods, run by libtorch on the calling thread alone:
///   `encode(*observation) -> context` (a Tensor or a tuple of Tensors), `step(x (1,T,D), t (1,), context) ->
///   (1,T,D)`.
///
/// A TorchScript file is a program: load only files you trust. Inputs, noise and step times live in tensors
/// made at load; the first, slow calls of the interpreter are made by `prepare`. Inference mode and one
/// intra-op thread hold during a call and are put back after it, so that the embedding program keeps its own
/// torch settings. Thread: one thread at a time, any thread. Real-time: no (libtorch allocates).
class VLA_RT_API TorchScriptModel final : public Model {
 public:
  /// Throws ModelError when the file cannot be read, lacks a method, or does not fit the signature.
  TorchScriptModel(const std::filesystem::path& file, const ModelSignature& signature);
  ~TorchScriptModel() override;

  [[nodiscard]] std::span<const TensorSpec> observation_spec() const noexcept override;
  [[nodiscard]] int horizon() const noexcept override;
  [[nodiscard]] int action_dim() const noexcept override;
  [[nodiscard]] std::string backend() const override;

  void prepare(std::span<const double> times) override;
  void encode(std::span<const TensorView> observation) override;
  void step(std::span<const float> x, int k, std::span<float> out) override;
  /// By autograd.
  [[nodiscard]] bool has_vjp() const noexcept override { return true; }
  void step_vjp(std::span<const float> x, int k, std::span<const float> c, std::span<float> out) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Registers "torchscript" (file `model.ts` of a package) with the backend registry.
VLA_RT_API void register_torch_backends();

/// The torch release this library was compiled against, e.g. "2.13.0".
[[nodiscard]] VLA_RT_API const char* compiled_torch_version() noexcept;

}  // namespace vla_rt
