#include "vla_rt/backends/torch/torch_script_model.hpp"

#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/script.h>
#include <torch/version.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "backends/torch/single_thread_guard.hpp"
#include "backends/torch/vector_jacobian.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr int kWarmUpCalls = 3;  // the profiling executor records twice and compiles at the third call

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

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "(";
  for (const std::int64_t extent : shape) text += std::to_string(extent) + ",";
  return text + ")";
}

/// Runs `call` the way every call into libtorch runs here; whatever it throws becomes a ModelError.
template <class Call>
auto run(const char* what, Call&& call) {
  try {
    const SingleThreadGuard threads;
    const c10::InferenceMode inference;
    return call();
  } catch (const VlaRtError&) {
    throw;
  } catch (const c10::Error& e) {
    throw ModelError(what, "", std::string("torch: ") + e.what_without_backtrace());
  } catch (const std::exception& e) {
    throw ModelError(what, "", std::string("torch: ") + e.what());
  }
}

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

}  // namespace

struct TorchScriptModel::Impl {
  Impl(torch::jit::Module loaded, const ModelSignature& s)
      : signature(s),
        module(std::move(loaded)),
        encode(find_method(module, "encode", s.observation.size())),
        step(find_method(module, "step", 3)),
        x(torch::zeros({1, s.horizon, s.action_dim})) {
    for (const TensorSpec& spec : s.observation) {
      std::vector<std::int64_t> shape{1};
      shape.insert(shape.end(), spec.shape.begin(), spec.shape.end());
      inputs.push_back(torch::zeros(shape, scalar_type(spec.dtype)));
    }
  }

  void require_step(std::size_t n_x, int k, std::size_t n_out) const {
    const auto size = static_cast<std::size_t>(x.numel());
    if (n_x != size || n_out != size)
      throw ConfigError("x", std::to_string(n_x) + " values", "must be T x D = " + std::to_string(size));
    if (k < 0 || static_cast<std::size_t>(k) >= times.size())
      throw ConfigError("k", std::to_string(k),
                        "must index the " + std::to_string(times.size()) + " prepared times");
    if (context.isNone()) throw ModelError("model.ts.step", "", "needs an encode first");
  }

  void run_encode() {
    context = encode(std::vector<c10::IValue>(inputs.begin(), inputs.end()));
    if (!context.isTensor() && !context.isTuple())
      throw ModelError("model.ts.encode", context.tagKind(), "must return a Tensor or a tuple of Tensors");
  }

  at::Tensor run_step(int k) {
    const c10::IValue result = step({x, times[static_cast<std::size_t>(k)], context});
    if (!result.isTensor()) throw ModelError("model.ts.step", result.tagKind(), "must return a Tensor");
    const at::Tensor& v = result.toTensor();
    if (v.scalar_type() != at::kFloat || !v.device().is_cpu() || v.sizes() != x.sizes())
      throw ModelError(
          "model.ts.step", shape_text({v.sizes().data(), v.sizes().size()}),
          "must return float32 " + shape_text({x.sizes().data(), x.sizes().size()}) + " on the CPU");
    return v.contiguous();
  }

  ModelSignature signature;
  torch::jit::Module module;
  torch::jit::Method encode, step;
  std::vector<at::Tensor> inputs;  // (1, ...) each
  at::Tensor x;                    // (1, T, D)
  std::vector<at::Tensor> times;   // (1,) each
  c10::IValue context;
};

TorchScriptModel::TorchScriptModel(const std::filesystem::path& file, const ModelSignature& signature) {
  impl_ = run(file.c_str(), [&] {
    const c10::InferenceMode with_autograd(false);  // weights made in inference mode have no derivatives
    torch::jit::Module module = torch::jit::load(file.string(), at::kCPU);
    module.eval();
    for (const at::Tensor& weight : module.parameters()) weight.set_requires_grad(false);
    return std::make_unique<Impl>(std::move(module), signature);
  });
  prepare(std::vector<double>{0.0});
}

TorchScriptModel::~TorchScriptModel() = default;

std::span<const TensorSpec> TorchScriptModel::observation_spec() const noexcept {
  return impl_->signature.observation;
}
int TorchScriptModel::horizon() const noexcept { return impl_->signature.horizon; }
int TorchScriptModel::action_dim() const noexcept { return impl_->signature.action_dim; }
std::string TorchScriptModel::backend() const { return "torchscript"; }

void TorchScriptModel::prepare(std::span<const double> times) {
  if (times.empty()) throw ConfigError("times", "", "needs at least one entry");
  run("model.ts", [&] {
    std::vector<at::Tensor> prepared;
    for (const double t : times) prepared.push_back(torch::full({1}, t, at::kFloat));
    impl_->times = std::move(prepared);
    for (at::Tensor& input : impl_->inputs) input.zero_();
    impl_->x.zero_();
    for (int i = 0; i < kWarmUpCalls; ++i) {
      impl_->run_encode();
      impl_->run_step(0);
    }
    impl_->context = c10::IValue();  // a step before the first encode must fail, not use zeros
  });
}

void TorchScriptModel::encode(std::span<const TensorView> observation) {
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
  run("model.ts.encode", [&] {
    for (std::size_t i = 0; i < specs.size(); ++i)
      std::memcpy(impl_->inputs[i].data_ptr(), observation[i].data, impl_->inputs[i].nbytes());
    impl_->run_encode();
  });
}

void TorchScriptModel::step(std::span<const float> x, int k, std::span<float> out) {
  impl_->require_step(x.size(), k, out.size());
  run("model.ts.step", [&] {
    std::memcpy(impl_->x.data_ptr<float>(), x.data(), x.size_bytes());
    const at::Tensor v = impl_->run_step(k);
    std::memcpy(out.data(), v.data_ptr<float>(), out.size_bytes());
  });
}

void TorchScriptModel::step_vjp(std::span<const float> x, int k, std::span<const float> c,
                                std::span<float> out) {
  impl_->require_step(x.size(), k, out.size());
  impl_->require_step(c.size(), k, out.size());
  run("model.ts.step (vjp)", [&] {
    std::memcpy(impl_->x.data_ptr<float>(), x.data(), x.size_bytes());
    const at::Tensor cotangent = at::empty_like(impl_->x);
    std::memcpy(cotangent.data_ptr<float>(), c.data(), c.size_bytes());
    const at::Tensor product = vector_jacobian(
        impl_->step, impl_->x, impl_->times[static_cast<std::size_t>(k)], impl_->context, cotangent);
    std::memcpy(out.data(), product.data_ptr<float>(), out.size_bytes());
  });
}

void register_torch_backends() {
  register_backend("torchscript", [](const std::filesystem::path& folder, const ModelSignature& signature) {
    return std::make_unique<TorchScriptModel>(folder / "model.ts", signature);
  });
}

const char* compiled_torch_version() noexcept { return TORCH_VERSION; }

}  // namespace vla_rt
