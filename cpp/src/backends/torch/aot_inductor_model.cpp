#include "vla_rt/backends/torch/aot_inductor_model.hpp"

#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <string>
#include <utility>
#include <vector>

#include "backends/torch/torch_stages.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

class AotInductorStages final : public TorchStages {
 public:
  AotInductorStages(const std::string& file, at::Device device)
      : prepare_(file, "prepare", kSingleThreaded, kRunners, device.index()),
        encode_(file, "encode", kSingleThreaded, kRunners, device.index()),
        step_(file, "step", kSingleThreaded, kRunners, device.index()) {}

  void prepare(const std::vector<at::Tensor>& times) override {
    rows_.clear();
    for (const at::Tensor& t : times) rows_.push_back(prepare_.run({t}));
  }

  void encode(const std::vector<at::Tensor>& observation) override {
    const std::vector<at::Tensor> context = encode_.run(observation);
    num_rows_ = rows_.empty() ? 0 : rows_.front().size();
    inputs_.assign(1 + num_rows_, at::Tensor());
    inputs_.insert(inputs_.end(), context.begin(), context.end());
  }

  at::Tensor step(const at::Tensor& x, std::size_t k) override {
    inputs_[0] = x;
    std::copy(rows_[k].begin(), rows_[k].end(), inputs_.begin() + 1);
    std::vector<at::Tensor> answers = step_.run(inputs_);
    if (answers.size() != 1)
      throw ModelError("model.pt2 step", std::to_string(answers.size()) + " tensors", "must return one");
    return std::move(answers.front());
  }

 private:
  static constexpr bool kSingleThreaded = true;
  static constexpr std::size_t kRunners = 1;

  torch::inductor::AOTIModelPackageLoader prepare_, encode_, step_;
  std::vector<std::vector<at::Tensor>> rows_;  // of every time
  std::size_t num_rows_ = 0;
  std::vector<at::Tensor> inputs_;  // x, rows, context
};

std::unique_ptr<TorchStages> load(const std::filesystem::path& file, const ModelSignature& signature) {
  const at::Device device = device_of(signature.device);
  return run_torch(file.string(), [&] { return std::make_unique<AotInductorStages>(file.string(), device); });
}

}  // namespace

AotInductorModel::AotInductorModel(const std::filesystem::path& file, const ModelSignature& signature)
    : TorchModel("aotinductor", "model.pt2", signature, load(file, signature)) {}

}  // namespace vla_rt
