#include "vla_rt/package/policy.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "package/policy_documents.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/inference/backend_registry.hpp"

using namespace vla_rt;
using vla_rt::testing::kDocument;

namespace {

/// Velocity = sum of all inputs, constant in x and t: one chunk is noise + that sum.
class SumModel final : public Model {
 public:
  explicit SumModel(ModelSignature signature) : signature_(std::move(signature)) {}
  std::span<const TensorSpec> observation_spec() const noexcept override { return signature_.observation; }
  int horizon() const noexcept override { return signature_.horizon; }
  int action_dim() const noexcept override { return signature_.action_dim; }
  std::string backend() const override { return "sum"; }
  void prepare(std::span<const double> times) override { num_times = times.size(); }
  void encode(std::span<const TensorView> observation) override {
    inputs.clear();
    for (std::size_t i = 0; i < observation.size(); ++i) {
      CHECK(observation[i].dtype == signature_.observation[i].dtype);
      for (std::int64_t j = 0; j < signature_.observation[i].num_elements(); ++j)
        inputs.push_back(observation[i].dtype == DType::Float32
                             ? static_cast<const float*>(observation[i].data)[j]
                             : static_cast<float>(static_cast<const std::int64_t*>(observation[i].data)[j]));
    }
  }
  void step(std::span<const float> x, int k, std::span<float> out) override {
    CHECK(static_cast<std::size_t>(k) < num_times);
    float sum = 0;
    for (const float v : inputs) sum += v;
    if (answer_nan) sum = NAN;
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = sum;
  }

  std::vector<float> inputs;
  std::size_t num_times = 0;
  bool answer_nan = false;

 private:
  ModelSignature signature_;
};

struct Rig {
  Rig() {
    PolicySpec spec = parse_policy_spec(kDocument);
    ModelSignature signature{{}, spec.horizon, spec.action_dim};
    for (const FeatureSpec& f : spec.observation) signature.observation.push_back(f.tensor);
    auto owned = std::make_unique<SumModel>(signature);
    model = owned.get();
    policy = std::make_unique<Policy>(spec, std::move(owned));
    set("observation.state", std::array{2.0F, 6.0F}, {2});
    set("camera", std::array{0.5F, 1.0F, 0.5F, 0.5F, 0.5F, 0.0F}, {3, 1, 2});
    const std::int64_t task = 1, extent = 1;
    observation.set("task", DType::Int64, {&extent, 1}, &task);
    observation.time_ns = 77;
  }
  template <std::size_t kSize>
  void set(const char* name, const std::array<float, kSize>& values, const std::vector<std::int64_t>& shape) {
    observation.set(name, DType::Float32, shape, values.data());
  }
  std::string field_of_error() {
    ActionChunk chunk;
    chunk.resize(1, 1);
    chunk.values[0] = 42;
    try {
      policy->sample(observation, 0, chunk);
    } catch (const ConfigError& e) {
      CHECK(chunk.values[0] == 42);
      CHECK(chunk.horizon == 1);
      return e.name();
    }
    return "no error";
  }

  SumModel* model = nullptr;
  std::unique_ptr<Policy> policy;
  Observation observation;
};

}  // namespace

TEST_CASE("raw outside, normalised inside") {
  Rig rig;
  ActionChunk chunk;
  const std::vector<float> noise(6, 0.0F);
  rig.policy->sample(rig.observation, 0, chunk, noise);
  // state (2-1)/0.5 = 2, (6-2)/4 = 1; camera per channel: (0, 1), (0, 0), (0, -0.5); task 1
  const std::vector<float> expected{2, 1, 0, 1, 0, 0, 0, -0.5F, 1};
  REQUIRE(rig.model->inputs.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK(rig.model->inputs[i] == doctest::Approx(expected[i]).epsilon(1e-6));
  // x = 4.5 everywhere; min_max back: (4.5+1)/2*2-1, (4.5+1)/2*10, and the masked dimension as it is
  for (int t = 0; t < 2; ++t) {
    CHECK(chunk.row(t)[0] == doctest::Approx(4.5));
    CHECK(chunk.row(t)[1] == doctest::Approx(27.5));
    CHECK(chunk.row(t)[2] == doctest::Approx(4.5));
  }
  CHECK(chunk.horizon == 2);
  CHECK(chunk.action_dim == 3);
  CHECK(chunk.period_ns == 50'000'000);
  CHECK(chunk.start_time_ns == 77);
  CHECK(rig.model->num_times == 4);
}

TEST_CASE("an image may come as bytes") {
  Rig rig;
  ActionChunk floats, bytes;
  rig.set("camera", std::array{0.0F, 1.0F, 0.2F, 0.4F, 0.6F, 0.8F}, {3, 1, 2});
  rig.policy->sample(rig.observation, 5, floats);
  const std::array<std::uint8_t, 6> pixels{0, 51, 153, 255, 102, 204};  // (H, W, C)
  rig.observation.set("camera", DType::UInt8, std::array<std::int64_t, 3>{1, 2, 3}, pixels.data());
  rig.policy->sample(rig.observation, 5, bytes);
  for (int t = 0; t < 2; ++t)
    for (std::size_t d = 0; d < 3; ++d)
      CHECK(bytes.row(t)[d] == doctest::Approx(floats.row(t)[d]).epsilon(1e-6));
}

TEST_CASE("a network that works on more columns than there are actions") {
  PolicySpec spec = parse_policy_spec(kDocument);
  spec.generated_dim = 5;
  CHECK(parse_policy_spec(to_json(spec)) == spec);
  auto owned = std::make_unique<SumModel>(signature_of(spec));
  CHECK(owned->action_dim() == 5);
  Policy policy(spec, std::move(owned));
  Rig plain;
  ActionChunk wide, narrow, continued;
  const std::array wide_noise{1.0F, 2.0F, 3.0F, 90.0F, 91.0F, 4.0F, 5.0F, 6.0F, 92.0F, 93.0F};
  policy.sample(plain.observation, 0, wide, wide_noise);
  plain.policy->sample(plain.observation, 0, narrow, std::array{1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F});
  REQUIRE(wide.action_dim == 3);
  REQUIRE(wide.horizon == narrow.horizon);
  for (int t = 0; t < wide.horizon; ++t)
    for (std::size_t d = 0; d < 3; ++d) CHECK(wide.row(t)[d] == narrow.row(t)[d]);
  CHECK_THROWS_AS(policy.sample(plain.observation, 0, wide, std::array{1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}),
                  ConfigError);
  // a previous chunk has the columns of the action, and holds those as it does without the others
  const std::array previous{0.5, 1.0, 0.0, 0.6, 2.0, 0.1};
  const Continuation continuation{{.values = previous, .rows = 2, .delay = 1, .end = 2}, {}};
  policy.sample(plain.observation, 0, continued, wide_noise, {}, &continuation);
  plain.policy->sample(plain.observation, 0, narrow, std::array{1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}, {},
                       &continuation);
  for (int t = 0; t < wide.horizon; ++t)
    for (std::size_t d = 0; d < 3; ++d) CHECK(continued.row(t)[d] == doctest::Approx(narrow.row(t)[d]));
  CHECK(continued.row(0)[0] != wide.row(0)[0]);
}

TEST_CASE("a policy that looks back takes every feature over time and leaves out the rows of the past") {
  PolicySpec spec = parse_policy_spec(kDocument);
  spec.n_obs_steps = 2;
  spec.first_row = 1;
  for (FeatureSpec& f : spec.observation) f.tensor.shape.insert(f.tensor.shape.begin(), 2);
  auto owned = std::make_unique<SumModel>(signature_of(spec));
  const SumModel& model = *owned;
  Policy policy(spec, std::move(owned));
  Observation observation;
  const auto set = [&](const char* name, DType dtype, const std::vector<std::int64_t>& shape,
                       const void* data) { observation.set(name, dtype, shape, data); };
  const std::array state{2.0F, 6.0F, 1.0F, 2.0F};
  const std::array<std::uint8_t, 12> pixels{0,   51, 153, 255, 102, 204,
                                            255, 0,  51,  102, 153, 204};  // (2, H, W, C)
  const std::array<std::int64_t, 2> task{1, 2};
  set("observation.state", DType::Float32, {2, 2}, state.data());
  set("camera", DType::UInt8, {2, 1, 2, 3}, pixels.data());
  set("task", DType::Int64, {2, 1}, task.data());
  ActionChunk chunk;
  policy.sample(observation, 0, chunk, std::array{1.0F, 1.0F, 1.0F, 2.0F, 2.0F, 2.0F});
  // camera (v/255 - 0.5) / (0.5, 0.25, 1), channels first in each frame
  const std::vector<float> expected{2,    1, 0,     0,  -1,   1,     -1.2F, -0.4F, 0.1F,
                                    0.3F, 1, -0.2F, -2, 0.4F, -0.3F, 0.3F,  1,     2};
  REQUIRE(model.inputs.size() == expected.size());
  float sum = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(model.inputs[i] == doctest::Approx(expected[i]).epsilon(1e-5));
    sum += expected[i];
  }
  CHECK(chunk.horizon == 1);
  CHECK(chunk.row(0)[0] == doctest::Approx(2 + sum).epsilon(1e-5));

  const std::array previous{0.5, 1.0, 0.0};
  const Continuation continuation{{.values = previous, .rows = 1, .delay = 1, .end = 1}, {}};
  policy.sample(observation, 0, chunk, {}, {}, &continuation);
  CHECK(std::abs(chunk.row(0)[0] - 0.5) < std::abs(2 + sum - 0.5));  // held to the previous chunk
  const std::array too_long{0.5, 1.0, 0.0, 0.5, 1.0, 0.0};
  const Continuation bad{{.values = too_long, .rows = 2, .delay = 1, .end = 1}, {}};
  CHECK_THROWS_AS(policy.sample(observation, 0, chunk, {}, {}, &bad), ConfigError);
  set("observation.state", DType::Float32, {2}, state.data());
  CHECK_THROWS_AS(policy.sample(observation, 0, chunk), ConfigError);
}

TEST_CASE("noise depends on seed and chunk, and on nothing else") {
  Rig rig;
  ActionChunk a, b;
  rig.policy->sample(rig.observation, {3, 9}, a);
  rig.policy->sample(rig.observation, {3, 10}, b);
  CHECK(a.row(0)[0] != b.row(0)[0]);
  rig.policy->sample(rig.observation, {3, 9}, b);
  CHECK(std::equal(a.values.begin(), a.values.begin() + 6, b.values.begin()));
  std::vector<float> noise(6);
  fill_noise({3, 9}, 0, noise);
  rig.policy->sample(rig.observation, 0, b, noise);
  CHECK(std::equal(a.values.begin(), a.values.begin() + 6, b.values.begin()));
}

TEST_CASE("bad observations name feature and index and leave the chunk alone") {
  Rig rig;
  CHECK(rig.field_of_error() == "no error");
  rig.set("observation.state", std::array{2.0F, NAN}, {2});
  CHECK(rig.field_of_error() == "observation.state[1]");
  rig.set("observation.state", std::array{2.0F, 6.0F}, {1, 2});
  CHECK(rig.field_of_error() == "observation.state");
  rig.set("observation.state", std::array{2.0F, 6.0F}, {2});
  rig.set("task", std::array{1.0F}, {1});
  CHECK(rig.field_of_error() == "task");
  rig.observation.clear();
  CHECK(rig.field_of_error() == "observation.state");
}

TEST_CASE("a network that answers NaN is a ModelError") {
  Rig rig;
  rig.model->answer_nan = true;
  ActionChunk chunk;
  chunk.resize(1, 1);
  CHECK_THROWS_AS(rig.policy->sample(rig.observation, 0, chunk), ModelError);
  CHECK(chunk.horizon == 1);
}

TEST_CASE("threads take turns") {
  Rig rig;
  ActionChunk expected;
  rig.policy->sample(rig.observation, 1, expected);
  std::array<int, 3> equal{};
  std::vector<std::thread> threads;
  for (int& count : equal)
    threads.emplace_back([&] {
      const auto chunk = std::make_unique<ActionChunk>();
      for (int i = 0; i < 300; ++i) {
        rig.policy->sample(rig.observation, 1, *chunk);
        count +=
            std::equal(expected.values.begin(), expected.values.begin() + 6, chunk->values.begin()) ? 1 : 0;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(equal == std::array{300, 300, 300});
}

TEST_CASE("spec and network must fit") {
  PolicySpec spec = parse_policy_spec(kDocument);
  CHECK_THROWS_AS(Policy(spec, nullptr), ConfigError);
  CHECK_THROWS_AS(Policy(spec, std::make_unique<SumModel>(ModelSignature{{}, 2, 3})), ConfigError);
  spec.horizon = 0;
  CHECK_THROWS_AS(Policy(spec, std::make_unique<SumModel>(ModelSignature{{}, 0, 3})), FormatError);
}

TEST_CASE("a package is opened by the first backend that is known") {
  const auto folder =
      std::filesystem::temp_directory_path() / ("vla_rt_policy_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  std::ofstream(folder / "policy.json") << kDocument;
  std::ofstream(folder / "model.ts") << "1234567890";
  CHECK_THROWS_WITH_AS((void)Policy::load(folder), doctest::Contains("torchscript, other"), ModelError);
  CHECK_THROWS_AS((void)Policy::load(folder, "torchscript"), ModelError);
  register_backend("torchscript", [](const auto&, const ModelSignature& signature) {
    CHECK(signature.observation.size() == 3);
    return std::make_unique<SumModel>(signature);
  });
  CHECK(Policy::load(folder)->backend() == "sum");
  CHECK_THROWS_AS((void)Policy::load(folder, "other"), ModelError);
  CHECK_THROWS_AS((void)Policy::load(folder, "quantum"), ModelError);
  std::filesystem::remove_all(folder);
}
