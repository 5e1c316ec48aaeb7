#include <torch/script.h>
#undef CHECK  // torch and doctest both define it

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iterator>
#include <string>

#include "package/crc32.hpp"
#include "vla_rt/backends/torch/torch_script_model.hpp"
#include "vla_rt/package/policy.hpp"

using namespace vla_rt;

std::uint32_t crc32_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  Crc32 crc32;
  crc32.add(content);
  return crc32.value();
}

// A program without Python opens a package and samples from it.
TEST_CASE("a package with a TorchScript network runs from C++ alone") {
  const auto folder =
      std::filesystem::temp_directory_path() / ("vla_rt_torch_policy_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  torch::jit::Module module("Policy");
  module.define(R"(
def encode(self, state):
    return (state.sum(dim=1), state * 2.0)
def step(self, x, t, context: Tuple[Tensor, Tensor]):
    return torch.zeros_like(x) + context[0].reshape(-1, 1, 1)
)");
  module.save((folder / "model.ts").string());
  std::ofstream(folder / "policy.json")
      << R"({"schema_version": 1, "kind": "sum", "horizon": 2, "action_dim": 1,
    "execution_horizon": 1, "n_obs_steps": 1, "period_s": 0.1, "precision": "float32", "observation": [{"name": "s",
    "kind": "state", "dtype": "float32", "shape": [2], "normalizer": {"mode": "identity", "convention": "lerobot"}}],
    "action_normalizer": {"mode": "mean_std", "convention": "lerobot", "mean": [10], "std": [2]},
    "action_space": null, "sampler": {"type": "flow_matching", "num_steps": 5, "solver": "rk4", "noise_at": 1},
    "backends": ["torchscript"], "checks": {}, "files": {"model.ts": {"bytes": )"
      << std::filesystem::file_size(folder / "model.ts") << R"(, "crc32": ")" << std::hex << std::setw(8)
      << std::setfill('0') << crc32_of(folder / "model.ts") << R"("}}})";
  register_torch_backends();
  const auto policy = Policy::load(folder);
  CHECK(policy->backend() == "torchscript");
  Observation observation;
  observation.set("s", std::array{1.0, 2.0});
  ActionChunk chunk;
  policy->sample(observation, 0, chunk, std::array{0.0F, 1.0F});
  CHECK(chunk.row(0)[0] == doctest::Approx(10 + 2 * (0 - 3)));
  CHECK(chunk.row(1)[0] == doctest::Approx(10 + 2 * (1 - 3)));
  std::filesystem::remove_all(folder);
}
