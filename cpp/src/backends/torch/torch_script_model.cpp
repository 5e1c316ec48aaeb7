#include "vla_rt/backends/torch/torch_script_model.hpp"

#include <torch/csrc/jit/serialization/import.h>
#include <torch/script.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/torch/torch_stages.hpp"
#include "backends/torch/vector_jacobian.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

torch::jit::Method find_method(const torch::jit::Module& module, const char* name,
                               std::size_t num_arguments) {
  const auto method = module.find_method(name);
  if (!method) throw ModelError("model.ts", name, "the file has no such method");
  const std::size_t given = method->function().getSchema().arguments().size() - 1;  // without self
  if (given != num_arguments)
    throw ModelError(std::string("model.ts.") + name, std::to_string(given) + " arguments",
                     "must take " + std::to_string(num_arguments));
  return *method;
}

class TorchScriptStages final : public TorchStages {
 public:
  TorchScriptStages(torch::jit::Module module, std::size_t num_features)
      : module_(std::move(module)),
        encode_(find_method(module_, "encode", num_features)),
        step_(find_method(module_, "step", 3)) {
    if (module_.find_method("prepare")) prepare_ = find_method(module_, "prepare", 1);
  }

  void prepare(const std::vector<at::Tensor>& times) override {
    rows_.clear();
    for (const at::Tensor& t : times) rows_.push_back(prepare_ ? (*prepare_)({t}) : c10::IValue(t));
  }

  void encode(const std::vector<at::Tensor>& observation) override {
    context_ = encode_(std::vector<c10::IValue>(observation.begin(), observation.end()));
    if (!context_.isTensor() && !context_.isTuple())
      throw ModelError("model.ts.encode", context_.tagKind(), "must return a Tensor or a tuple of Tensors");
  }

  at::Tensor step(const at::Tensor& x, std::size_t k) override {
    const c10::IValue answer = step_({x, rows_[k], context_});
    if (!answer.isTensor()) throw ModelError("model.ts.step", answer.tagKind(), "must return a Tensor");
    return answer.toTensor();
  }

  bool has_vjp() const noexcept override { return true; }
  at::Tensor vjp(const at::Tensor& x, std::size_t k, const at::Tensor& c) override {
    return vector_jacobian(step_, x, rows_[k], context_, c);
  }

 private:
  torch::jit::Module module_;
  torch::jit::Method encode_, step_;
  std::optional<torch::jit::Method> prepare_;
  std::vector<c10::IValue> rows_;
  c10::IValue context_;
};

std::unique_ptr<TorchStages> load(const std::filesystem::path& file, const ModelSignature& signature) {
  const at::Device device = device_of(signature.device);
  return run_torch(file.string(), [&] {
    const c10::InferenceMode with_autograd(false);  // weights made in inference mode have no derivatives
    torch::jit::Module module = torch::jit::load(file.string(), device);
    module.eval();
    for (const at::Tensor& weight : module.parameters()) weight.set_requires_grad(false);
    return std::make_unique<TorchScriptStages>(std::move(module), signature.observation.size());
  });
}

}  // namespace

TorchScriptModel::TorchScriptModel(const std::filesystem::path& file, const ModelSignature& signature)
    : TorchModel("torchscript", "model.ts", signature, load(file, signature)) {}

}  // namespace vla_rt
