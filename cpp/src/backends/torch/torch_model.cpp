#include "vla_rt/backends/torch/torch_model.hpp"

#include <ATen/Functions.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <torch/version.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "backends/torch/torch_stages.hpp"
#include "vla_rt/backends/torch/aot_inductor_model.hpp"
#include "vla_rt/backends/torch/torch_script_model.hpp"

namespace vla_rt {
namespace {

constexpr int kWarmUpCalls = 3;  // TorchScript's profiling executor records twice and compiles at the third

at::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::Float32:
      return at::kFloat;
    case DType::Int64:
      return at::kLong;
    case DType::UInt8:
      return at::kByte;
  }
  return at::kFloat;
}

std::vector<std::int64_t> batch_of_one(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> batched{1};
  batched.insert(batched.end(), shape.begin(), shape.end());
  return batched;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "(";
  for (const std::int64_t extent : shape) text += std::to_string(extent) + ",";
  return text + ")";
}

/// An input as the caller fills it (on the CPU) and as the network reads it; one tensor where both are the
/// CPU's.
struct InputTensor {
  InputTensor(const std::vector<std::int64_t>& shape, at::ScalarType type, at::Device device)
      : host(at::zeros(batch_of_one(shape), type)), used(device.is_cpu() ? host : host.to(device)) {}

  void set(const void* data) {
    std::memcpy(host.data_ptr(), data, host.nbytes());
    if (!used.device().is_cpu()) used.copy_(host);
  }
  void clear() {
    host.zero_();
    used.zero_();
  }

  at::Tensor host, used;
};

}  // namespace

at::Device device_of(const std::string& name) {
  const auto device = run_torch("device " + name, [&] { return at::Device(name); });
  if (device.is_cpu()) return device;
  if (!device.is_cuda()) throw ModelError("device", name, "must be cpu or cuda");
  if (!at::detail::getCUDAHooks().hasCUDA() ||
      device.index() >= static_cast<int>(at::detail::getCUDAHooks().deviceCount()))
    throw ModelError("device", name,
                     "is not there: this machine has no such GPU, or its torch " TORCH_VERSION
                     " was built without CUDA");
  return at::Device(at::kCUDA, device.has_index() ? device.index() : static_cast<at::DeviceIndex>(0));
}

struct TorchModel::Impl {
  Impl(std::string b, std::string f, const ModelSignature& s, std::unique_ptr<TorchStages> owned)
      : backend(std::move(b)),
        file(std::move(f)),
        signature(s),
        stages(std::move(owned)),
        device(device_of(s.device)),
        x(s.input_shape(), at::kFloat, device),
        answer_shape(batch_of_one(s.output_shape())) {
    for (const TensorSpec& spec : s.observation)
      inputs.emplace_back(spec.shape, scalar_type(spec.dtype), device);
    for (const InputTensor& input : inputs) used_inputs.push_back(input.used);
  }

  void require_step(std::size_t n_x, int k, std::size_t n_answer) const {
    const auto wanted_x = static_cast<std::size_t>(x.host.numel());
    const auto wanted_answer = static_cast<std::size_t>(c10::multiply_integers(answer_shape));
    if (n_x != wanted_x || n_answer != wanted_answer)
      throw ConfigError("x", std::to_string(n_x) + " and " + std::to_string(n_answer) + " values",
                        "must be " + std::to_string(wanted_x) + " and " + std::to_string(wanted_answer));
    if (k < 0 || static_cast<std::size_t>(k) >= num_times)
      throw ConfigError("k", std::to_string(k),
                        "must index the " + std::to_string(num_times) + " prepared times");
    if (!is_encoded) throw ModelError(file + " step", "", "needs an encode first");
  }

  at::Tensor run_step(std::size_t k) {
    const at::Tensor answer = stages->step(x.used, k);
    if (answer.scalar_type() != at::kFloat || answer.sizes() != at::IntArrayRef(answer_shape))
      throw ModelError(file + " step", shape_text({answer.sizes().data(), answer.sizes().size()}),
                       "must return float32 " + shape_text(answer_shape));
    return answer.device().is_cpu() ? answer.contiguous() : answer.cpu().contiguous();
  }

  std::string backend, file;
  ModelSignature signature;
  std::unique_ptr<TorchStages> stages;
  at::Device device;
  std::vector<InputTensor> inputs;
  std::vector<at::Tensor> used_inputs;
  InputTensor x;
  std::vector<std::int64_t> answer_shape;
  std::size_t num_times = 0;
  bool is_encoded = false;  // a step before the first encode must fail, not use the warm-up's zeros
};

TorchModel::TorchModel(std::string backend, std::string file, const ModelSignature& signature,
                       std::unique_ptr<TorchStages> stages)
    : impl_(run_torch(file, [&] {
        return std::make_unique<Impl>(std::move(backend), file, signature, std::move(stages));
      })) {
  TorchModel::prepare(std::vector<double>{0.0});
}

TorchModel::~TorchModel() = default;

std::span<const TensorSpec> TorchModel::observation_spec() const noexcept {
  return impl_->signature.observation;
}
int TorchModel::horizon() const noexcept { return impl_->signature.horizon; }
int TorchModel::action_dim() const noexcept { return impl_->signature.action_dim; }
std::size_t TorchModel::input_size() const noexcept {
  return static_cast<std::size_t>(impl_->x.host.numel());
}
std::size_t TorchModel::output_size() const noexcept {
  return static_cast<std::size_t>(c10::multiply_integers(impl_->answer_shape));
}
std::string TorchModel::backend() const { return impl_->backend; }

void TorchModel::prepare(std::span<const double> times) {
  if (times.empty()) throw ConfigError("times", "", "needs at least one entry");
  run_torch(impl_->file, [&] {
    std::vector<at::Tensor> prepared;
    for (const double t : times)
      prepared.push_back(at::full({1}, t, at::TensorOptions(at::kFloat).device(impl_->device)));
    impl_->num_times = 0;
    impl_->is_encoded = false;
    impl_->stages->prepare(prepared);
    for (InputTensor& input : impl_->inputs) input.clear();
    impl_->x.clear();
    for (int i = 0; i < kWarmUpCalls; ++i) {
      impl_->stages->encode(impl_->used_inputs);
      (void)impl_->run_step(0);
    }
    impl_->num_times = times.size();
  });
}

void TorchModel::encode(std::span<const TensorView> observation) {
  const std::vector<TensorSpec>& specs = impl_->signature.observation;
  if (observation.size() != specs.size())
    throw ConfigError("observation", std::to_string(observation.size()) + " tensors",
                      "must be " + std::to_string(specs.size()));
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const bool same_shape = std::ranges::equal(observation[i].shape, specs[i].shape);
    if (!same_shape || observation[i].dtype != specs[i].dtype)
      throw ConfigError(specs[i].name, to_string(observation[i].dtype) + shape_text(observation[i].shape),
                        "must be " + std::string(to_string(specs[i].dtype)) + shape_text(specs[i].shape));
  }
  run_torch(impl_->file, [&] {
    impl_->is_encoded = false;
    for (std::size_t i = 0; i < specs.size(); ++i) impl_->inputs[i].set(observation[i].data);
    impl_->stages->encode(impl_->used_inputs);
    impl_->is_encoded = true;
  });
}

void TorchModel::step(std::span<const float> x, int k, std::span<float> out) {
  impl_->require_step(x.size(), k, out.size());
  run_torch(impl_->file, [&] {
    impl_->x.set(x.data());
    const at::Tensor answer = impl_->run_step(static_cast<std::size_t>(k));
    std::memcpy(out.data(), answer.data_ptr<float>(), out.size_bytes());
  });
}

bool TorchModel::has_vjp() const noexcept { return impl_->stages->has_vjp(); }

void TorchModel::step_vjp(std::span<const float> x, int k, std::span<const float> c, std::span<float> out) {
  if (!has_vjp()) return Model::step_vjp(x, k, c, out);
  impl_->require_step(x.size(), k, c.size());
  if (out.size() != x.size())
    throw ConfigError("out", std::to_string(out.size()) + " values", "must be " + std::to_string(x.size()));
  run_torch(impl_->file, [&] {
    impl_->x.set(x.data());
    const at::Tensor cotangent = at::empty(impl_->answer_shape);
    std::memcpy(cotangent.data_ptr<float>(), c.data(), c.size_bytes());
    const at::Tensor product =
        impl_->stages->vjp(impl_->x.used, static_cast<std::size_t>(k), cotangent.to(impl_->device)).cpu();
    std::memcpy(out.data(), product.data_ptr<float>(), out.size_bytes());
  });
}

void register_torch_backends() {
  register_backend("torchscript", [](const std::filesystem::path& folder, const ModelSignature& signature) {
    return std::make_unique<TorchScriptModel>(folder / "model.ts", signature);
  });
  register_backend("aotinductor", [](const std::filesystem::path& folder, const ModelSignature& signature) {
    return std::make_unique<AotInductorModel>(folder / "model.pt2", signature);
  });
}

const char* compiled_torch_version() noexcept { return TORCH_VERSION; }

}  // namespace vla_rt
