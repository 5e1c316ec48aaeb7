#include "package/native_backend.hpp"

#include <fstream>
#include <iterator>

#include "inference/native_model.hpp"
#include "package/plan_json.hpp"
#include "package/safetensors.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr const char* kPlan = "plan.json";
constexpr const char* kWeights = "model.safetensors";
constexpr std::uintmax_t kMaxPlanSize = 64 << 20;

std::string read_text(const std::filesystem::path& file) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  std::ifstream stream(file, std::ios::binary);
  if (error || !stream) throw FormatError(file.filename().string(), "", "cannot be read");
  if (size > kMaxPlanSize)
    throw FormatError(file.filename().string(), std::to_string(size) + " bytes",
                      "must be at most " + std::to_string(kMaxPlanSize));
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Part of this library, so known to every process that loads it.
[[maybe_unused]] const bool kRegistered =  // NOLINT(bugprone-throwing-static-initialization)
    (register_backend("native", &open_native_model), true);

}  // namespace

std::unique_ptr<Model> open_native_model(const std::filesystem::path& folder,
                                         const ModelSignature& signature) {
  if (signature.device != "cpu")
    throw ModelError("device", signature.device, "must be cpu for the native engine");
  const auto weights = std::make_shared<const SafetensorsFile>(folder / kWeights);
  return std::make_unique<NativeModel>(parse_plan(read_text(folder / kPlan)), weights->tensors(), signature,
                                       instruction_set(), weights);
}

}  // namespace vla_rt
