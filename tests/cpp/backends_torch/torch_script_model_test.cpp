#include "vla_rt/backends/torch/torch_script_model.hpp"

#include <ATen/Parallel.h>
#include <torch/script.h>
#undef CHECK  // torch and doctest both define it

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

// encode: sum of the state; step: v = x * t + sum. Known by hand, so that the backend's own arithmetic is on
// trial.
const char* const kSource = R"(
def encode(self, state):
    return state.sum(dim=1)
def step(self, x, t, context: Tensor):
    return x * t.reshape(-1, 1, 1) + context.reshape(-1, 1, 1)
)";

struct ScriptFile {
  explicit ScriptFile(const std::string& source) {
    path = std::filesystem::temp_directory_path() / ("vla_rt_script_" + std::to_string(::getpid()) + ".ts");
    torch::jit::Module module("Policy");
    module.define(source);
    module.save(path.string());
  }
  ~ScriptFile() { std::filesystem::remove(path); }
  std::filesystem::path path;
};

const ModelSignature kSignature{{{"observation.state", DType::Float32, {3}}}, 2, 2};

void encode(Model& model, const std::array<float, 3>& state) {
  const std::array<std::int64_t, 1> shape{3};
  const TensorView view{state.data(), DType::Float32, shape};
  model.encode({&view, 1});
}

}  // namespace

TEST_CASE("a TorchScript file runs through the Model interface") {
  const ScriptFile file(kSource);
  TorchScriptModel model(file.path, kSignature);
  CHECK(model.backend() == "torchscript");
  CHECK(model.horizon() == 2);
  model.prepare(std::array{0.0, 0.5});
  encode(model, {1, 2, 3});
  const std::array<float, 4> x{1, 2, 3, 4};
  std::array<float, 4> out{};
  model.step(x, 1, out);
  CHECK((out == std::array<float, 4>{6.5F, 7, 7.5F, 8}));
  model.step(x, 0, out);
  CHECK((out == std::array<float, 4>{6, 6, 6, 6}));
}

TEST_CASE("what depends on the time alone is computed by prepare") {
  const ScriptFile file(R"(
def prepare(self, t):
    return (t * 10.0, t + 1.0)
def encode(self, state):
    return state.sum(dim=1)
def step(self, x, rows: Tuple[Tensor, Tensor], context: Tensor):
    return x * rows[0] + rows[1] + context.reshape(-1, 1, 1)
)");
  TorchScriptModel model(file.path, kSignature);
  const std::array<float, 4> x{1, 2, 3, 4};
  std::array<float, 4> out{};
  for (const double offset : {0.0, 1.0}) {  // other times replace the rows
    model.prepare(std::array{offset, offset + 0.5});
    CHECK_THROWS_AS(model.step(x, 0, out), ModelError);  // and end the chunk
    encode(model, {1, 2, 3});
    model.step(x, 1, out);
    const float scale = static_cast<float>(offset + 0.5) * 10, shift = static_cast<float>(offset) + 7.5F;
    for (std::size_t i = 0; i < 4; ++i) CHECK(out[i] == x[i] * scale + shift);
  }
}

// The k-th answer holds the tokens so far: what a network over tokens with a cache does.
TEST_CASE("a step may change its context, and every encode begins anew") {
  const ScriptFile file(R"(
def encode(self, state):
    return (state.sum(dim=1), state.new_zeros([1, 3]))
def step(self, x, position, context: Tuple[Tensor, Tensor]):
    cache = context[1]
    cache.index_copy_(1, position.long(), x)
    return cache + context[0]
)");
  TorchScriptModel model(file.path,
                         {{{"observation.state", DType::Float32, {3}}}, 4, 2, /*input=*/{1}, /*output=*/{3}});
  CHECK(model.input_size() == 1);
  CHECK(model.output_size() == 3);
  model.prepare(std::array{0.0, 1.0, 2.0});
  std::array<float, 3> out{};
  for (int chunk = 0; chunk < 3; ++chunk) {
    encode(model, {1, 2, 3});
    for (int k = 0; k < 3; ++k) model.step(std::array{10.0F * static_cast<float>(k + 1)}, k, out);
    CHECK((out == std::array<float, 3>{16, 26, 36}));
    encode(model, {0, 0, 0});
    model.step(std::array{5.0F}, 0, out);
    CHECK((out == std::array<float, 3>{5, 0, 0}));
  }
}

TEST_CASE("a device that is not there is said plainly") {
  const ScriptFile file(kSource);
  ModelSignature signature = kSignature;
  for (const char* device : {"cuda:99", "meta", "gpu"}) {
    signature.device = device;
    CHECK_THROWS_AS(TorchScriptModel(file.path, signature), ModelError);
  }
  signature.device = "cuda:99";
  try {
    const TorchScriptModel model(file.path, signature);
  } catch (const ModelError& e) {
    CHECK(e.name() == "device");
    CHECK(e.value() == "cuda:99");
    CHECK(std::string(e.what()).find('\n') == std::string::npos);
  }
}

TEST_CASE("wrong shapes, times and order of calls are refused") {
  const ScriptFile file(kSource);
  TorchScriptModel model(file.path, kSignature);
  const std::array<float, 4> x{};
  std::array<float, 4> out{};
  CHECK_THROWS_AS(model.step(x, 0, out), ModelError);  // no encode yet
  encode(model, {1, 2, 3});
  CHECK_THROWS_AS(model.step(x, 1, out), ConfigError);
  CHECK_THROWS_AS(model.step(x, -1, out), ConfigError);
  CHECK_THROWS_AS(model.step({x.data(), 3}, 0, out), ConfigError);
  const std::array<std::int64_t, 1> shape{4};
  const std::array<float, 4> state{};
  const TensorView wrong{state.data(), DType::Float32, shape};
  CHECK_THROWS_AS(model.encode({&wrong, 1}), ConfigError);
  CHECK_THROWS_AS(model.encode({}), ConfigError);
  CHECK_THROWS_AS(model.prepare({}), ConfigError);
}

TEST_CASE("a file that does not fit is a ModelError") {
  const ScriptFile no_step("def encode(self, state):\n    return state\n");
  CHECK_THROWS_AS(TorchScriptModel(no_step.path, kSignature), ModelError);
  const ScriptFile wrong_shape(
      "def encode(self, s):\n    return s\ndef step(self, x, t, c):\n    return x[:, :1]\n");
  CHECK_THROWS_AS(TorchScriptModel(wrong_shape.path, kSignature), ModelError);
  CHECK_THROWS_AS(TorchScriptModel("/nonexistent/model.ts", kSignature), ModelError);
  const ScriptFile truncated(kSource);
  std::filesystem::resize_file(truncated.path, std::filesystem::file_size(truncated.path) / 2);
  CHECK_THROWS_AS(TorchScriptModel(truncated.path, kSignature), ModelError);
}

TEST_CASE("the program's own number of torch threads stays as it was") {
  const ScriptFile file(kSource);
  at::set_num_threads(2);
  TorchScriptModel model(file.path, kSignature);
  encode(model, {1, 2, 3});
  CHECK(at::get_num_threads() == 2);
  int seen_in_worker = 0;
  std::thread([&] {
    encode(model, {1, 2, 3});
    seen_in_worker = at::get_num_threads();
  }).join();
  CHECK(seen_in_worker == 2);
}

TEST_CASE("a package folder opens through the registry") {
  register_torch_backends();
  CHECK(has_backend("torchscript"));
  const auto folder =
      std::filesystem::temp_directory_path() / ("vla_rt_package_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  {
    const ScriptFile file(kSource);
    std::filesystem::copy_file(file.path, folder / "model.ts");
  }
  CHECK(open_model("torchscript", folder, kSignature)->action_dim() == 2);
  std::filesystem::remove_all(folder);
  CHECK_THROWS_AS((void)open_model("torchscript", folder, kSignature), ModelError);
}
