#pragma once
#include <cstdint>
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
  std::vector<std::int64_t> input{};    ///< what `step` takes; empty: (T, D)
  std::vector<std::int64_t> output{};   ///< what `step` answers; empty: (T, D)
  std::string device = "cpu";           ///< "cpu", "cuda", "cuda:1": where the network runs
  int threads = 1;                      ///< of the native engine: 1, or 2 where a core is idle anyway

  [[nodiscard]] VLA_RT_API std::vector<std::int64_t> input_shape() const;
  [[nodiscard]] VLA_RT_API std::vector<std::int64_t> output_shape() const;
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
