#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/tensor.hpp"
#include "vla_rt/inference/model.hpp"

namespace vla_rt {

/// What a stored network must fit: shapes without the batch dimension.
struct ModelSignature {
  std::vector<TensorSpec> observation;  ///< inputs of `encode`, in order
  int horizon = 0;                      ///< T
  int action_dim = 0;                   ///< D
  int vocabulary = 0;                   ///< V of a network over tokens, 0 of one over chunks
};

/// Opens the network stored in the folder of a policy package. Throws ModelError when it cannot.
using BackendFactory = std::function<std::unique_ptr<Model>(const std::filesystem::path& folder,
                                                            const ModelSignature& signature)>;

/// Makes a backend known to this process under `name` ("torchscript"); a second registration replaces the
/// first. The torch backends register when their library is asked to (`register_torch_backends`, or importing
/// `_torch`). Thread: any. Real-time: no.
VLA_RT_API void register_backend(const std::string& name, BackendFactory factory);

[[nodiscard]] VLA_RT_API bool has_backend(std::string_view name);
/// Names in alphabetical order.
[[nodiscard]] VLA_RT_API std::vector<std::string> backend_names();

/// Throws ModelError naming the backends that exist when `name` is not one of them, and when opening fails.
[[nodiscard]] VLA_RT_API std::unique_ptr<Model> open_model(const std::string& name,
                                                           const std::filesystem::path& folder,
                                                           const ModelSignature& signature);

}  // namespace vla_rt
