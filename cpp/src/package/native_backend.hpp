#pragma once
#include <filesystem>
#include <memory>

#include "vla_rt/inference/backend_registry.hpp"

namespace vla_rt {

/// Opens `plan.json` and `model.safetensors` of a package. Throws FormatError naming file and field,
/// ModelError for a network that does not fit the signature.
[[nodiscard]] std::unique_ptr<Model> open_native_model(const std::filesystem::path& folder,
                                                       const ModelSignature& signature);

}  // namespace vla_rt
