#pragma once
#include <filesystem>

#include "vla_rt/backends/torch/torch_model.hpp"
#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// A network in one TorchScript file with the methods `prepare`, `encode` and `step` of `TorchModel`; rows
/// and context are a Tensor or a tuple of Tensors. Without `prepare`, `step` gets the time itself. `step_vjp`
/// is by autograd.
///
/// A TorchScript file is a program: load only files you trust.
class VLA_RT_API TorchScriptModel final : public TorchModel {
 public:
  /// Throws ModelError when the file cannot be read, lacks a method, does not fit the signature, or names a
  /// device that is not there.
  TorchScriptModel(const std::filesystem::path& file, const ModelSignature& signature);
};

}  // namespace vla_rt
