#pragma once
#include <filesystem>

#include "vla_rt/backends/torch/torch_model.hpp"
#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// A network compiled to machine code by AOTInductor: one `.pt2` file with the models "prepare", "encode" and
/// "step", whose rows and context are lists of tensors.
///
/// The file is machine code of the processor and the torch release that it was compiled for, and opening it
/// runs it: load only files you trust. Opening needs a writable temporary folder.
class VLA_RT_API AotInductorModel final : public TorchModel {
 public:
  /// Throws ModelError when the file cannot be read, lacks a model, does not fit the signature, or was
  /// compiled for a device that is not there.
  AotInductorModel(const std::filesystem::path& file, const ModelSignature& signature);
};

}  // namespace vla_rt
