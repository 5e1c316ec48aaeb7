// The engine as a whole: answers, what a step does besides computing, and plans that nobody vouches for.
#include "inference/native_model.hpp"
#include "instruments/allocation_count.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "instruments/syscall_trap.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

constexpr std::int64_t kSize = 12, kHidden = 40;

/// answer = W2 mish(W1 x + row(t) + context(o)), row = t v, context = V o.
struct Small {
  std::vector<float> w1 = random(kHidden * kSize), w2 = random(kSize * kHidden), v = random(kHidden),
                     vo = random(kHidden * 3);

  static std::vector<float> random(std::int64_t n) {
    static std::mt19937 generator(5);
    std::normal_distribution<float> normal(0.0f, 0.4f);
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& value : values) value = normal(generator);
    return values;
  }
  [[nodiscard]] PlanWeights weights() const { return {{"w1", w1}, {"w2", w2}, {"v", v}, {"vo", vo}}; }

  /// With w1 and w2 in narrower numbers, which this object then holds.
  [[nodiscard]] PlanWeights weights(WeightType type) {
    PlanWeights result = weights();
    for (const auto& [name, values] : {std::pair("w1", &w1), std::pair("w2", &w2)}) {
      if (type == WeightType::BFloat16) {
        for (const float value : *values)
          words[name].push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
        result[name] = {type, words[name].data(), values->size()};
      } else if (type == WeightType::Int8) {
        for (const float value : *values) bytes[name].push_back(static_cast<std::int8_t>(value / kScale));
        result[name] = {type, bytes[name].data(), values->size()};
      }
    }
    result["scale"] = scale;
    return result;
  }
  static constexpr float kScale = 0.02f;
  std::map<std::string, std::vector<std::uint16_t>> words;
  std::map<std::string, std::vector<std::int8_t>> bytes;
  std::vector<float> scale = std::vector<float>(kHidden, kScale);

  [[nodiscard]] static Plan plan(WeightType type) {
    Plan result = plan();
    if (type != WeightType::Int8) return result;
    result.buffers.push_back({BufferRole::Weight, 0, "scale"});
    result.views.push_back({12, 0, {kHidden}, {1}});
    result.views.push_back({12, 0, {kSize}, {1}});
    result.stages[2][1].inputs.push_back(12);
    result.stages[2][2].inputs.insert(result.stages[2][2].inputs.end(), {-1, 13});
    return result;
  }

  [[nodiscard]] static Plan plan() {
    using R = BufferRole;
    Plan plan;
    plan.buffers = {{R::Time, 1},          {R::Observation, 3},     {R::Input, kSize},
                    {R::Answer, kSize},    {R::Weight, 0, "w1"},    {R::Weight, 0, "w2"},
                    {R::Weight, 0, "v"},   {R::Weight, 0, "vo"},    {R::Row, kHidden},
                    {R::Context, kHidden}, {R::Temporary, kHidden}, {R::Temporary, kHidden}};
    plan.views = {{0, 0, {1, 1}, {1, 1}},
                  {1, 0, {1, 3}, {3, 1}},
                  {2, 0, {1, kSize}, {kSize, 1}},
                  {3, 0, {1, kSize}, {kSize, 1}},
                  {4, 0, {kHidden, kSize}, {kSize, 1}},
                  {5, 0, {kSize, kHidden}, {kHidden, 1}},
                  {6, 0, {kHidden, 1}, {1, 1}},
                  {7, 0, {kHidden, 3}, {3, 1}},
                  {8, 0, {1, kHidden}, {kHidden, 1}},
                  {9, 0, {1, kHidden}, {kHidden, 1}},
                  {10, 0, {1, kHidden}, {kHidden, 1}},
                  {11, 0, {1, kHidden}, {kHidden, 1}}};
    plan.stages[0] = {{"linear", {0, 6}, 8, "", {}}};
    plan.stages[1] = {{"linear", {1, 7}, 9, "", {}}};
    plan.stages[2] = {{"elementwise", {8, 9}, 10, "add", {}},
                      {"linear", {2, 4, 10}, 11, "mish", {}},
                      {"linear", {11, 5}, 3, "", {}}};
    return plan;
  }

  [[nodiscard]] std::vector<double> exact(const float* x, double t, const float* o) const {
    std::vector<double> h(kHidden), y(kSize);
    for (std::size_t i = 0; i < kHidden; ++i) {
      h[i] = t * v[i];
      for (std::size_t j = 0; j < 3; ++j) h[i] += double{vo[i * 3 + j]} * o[j];
      for (std::size_t j = 0; j < kSize; ++j) h[i] += double{w1[i * kSize + j]} * x[j];
      h[i] *= std::tanh(std::log1p(std::exp(h[i])));
    }
    for (std::size_t i = 0; i < kSize; ++i)
      for (std::size_t j = 0; j < kHidden; ++j) y[i] += w2[i * kHidden + j] * h[j];
    return y;
  }
};

const std::vector<std::int64_t> kShape{3};
const ModelSignature kSignature{{{"o", DType::Float32, {3}}}, 4, 3};

struct Runner {
  explicit Runner(InstructionSet set = best_instruction_set(), WeightType type = WeightType::Float32,
                  int threads = 1)
      : model(small.plan(type), small.weights(type), signature(threads), set) {
    model.prepare(std::vector<double>{0.25, 0.75});
  }
  void chunk() {
    const TensorView view{observation.data(), DType::Float32, kShape};
    model.encode({&view, 1});
    for (int k = 0; k < 2; ++k) model.step(x, k, answer[static_cast<std::size_t>(k)]);
  }

  static ModelSignature signature(int threads) {
    ModelSignature result = kSignature;
    result.threads = threads;
    return result;
  }

  Small small;
  NativeModel model;
  std::array<float, 3> observation{0.5f, -1.0f, 2.0f};
  std::array<float, kSize> x{1, -2, 3, 0.1f, 0.2f, 0.3f, -1, -2, -3, 4, 5, 6};
  std::array<std::array<float, kSize>, 2> answer{};
};

}  // namespace

TEST_CASE("every instruction set answers what the formula says, and the same bits again") {
  for (const InstructionSet set :
       {InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512, InstructionSet::Avx512Bf16}) {
    if (set > best_instruction_set()) continue;
    Runner runner(set);
    CAPTURE(to_string(set));
    runner.chunk();
    for (std::size_t k = 0; k < 2; ++k) {
      const auto expected =
          runner.small.exact(runner.x.data(), 0.25 + 0.5 * static_cast<double>(k), runner.observation.data());
      for (std::size_t i = 0; i < kSize; ++i) CHECK(std::fabs(runner.answer[k][i] - expected[i]) < 1e-5);
    }
    const auto before = runner.answer;
    runner.chunk();
    CHECK(std::memcmp(before.data(), runner.answer.data(), sizeof before) == 0);
  }
}

TEST_CASE("narrow networks answer what the formula says, roughly, and the same bits again") {
  for (const InstructionSet set :
       {InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512, InstructionSet::Avx512Bf16})
    for (const WeightType type : {WeightType::BFloat16, WeightType::Int8}) {
      if (set > best_instruction_set()) continue;
      Runner runner(set, type);
      CAPTURE(to_string(set));
      CAPTURE(static_cast<int>(type));
      runner.chunk();
      for (std::size_t k = 0; k < 2; ++k) {
        const auto expected = runner.small.exact(runner.x.data(), 0.25 + 0.5 * static_cast<double>(k),
                                                 runner.observation.data());
        const double largest =
            std::fabs(*std::ranges::max_element(expected, {}, [](double value) { return std::fabs(value); }));
        for (std::size_t i = 0; i < kSize; ++i)
          CHECK(std::fabs(runner.answer[k][i] - expected[i]) < 0.1 * largest);
      }
      const auto before = runner.answer;
      runner.chunk();
      CHECK(std::memcmp(before.data(), runner.answer.data(), sizeof before) == 0);
    }
}

TEST_CASE(
    "the derivative of a step is that of differences, in every instruction set, and allocates nothing") {
  for (const InstructionSet set : {InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512}) {
    if (set > best_instruction_set()) continue;
    CAPTURE(to_string(set));
    const auto small = std::make_shared<Small>();
    NativeModel model(Small::plan(), small->weights(), kSignature, set, small);
    model.prepare(std::vector<double>{0.25, 0.75});
    const std::array<float, 3> observation{0.5f, -1.0f, 2.0f};
    const TensorView view{observation.data(), DType::Float32, kShape};
    std::array<float, kSize> x{1, -2, 3, 0.1f, 0.2f, 0.3f, -1, -2, -3, 4, 5, 6}, c{}, product{};
    for (std::size_t i = 0; i < kSize; ++i) c[i] = 0.1f * static_cast<float>(i) - 0.4f;
    CHECK_FALSE(model.has_vjp());
    CHECK_THROWS_AS(model.step_vjp(x, 0, c, product), ModelError);
    model.prepare_vjp();
    model.prepare_vjp();
    REQUIRE(model.has_vjp());
    CHECK_THROWS_AS(model.step_vjp(x, 0, c, product), ModelError);  // no encode yet
    model.encode({&view, 1});
    const long before = allocations();
    model.step_vjp(x, 1, c, product);
    CHECK(allocations() == before);
    for (std::size_t i = 0; i < kSize; ++i) {
      std::array<float, kSize> high = x, low = x;
      constexpr double kStep = 1.0 / 64;
      high[i] += static_cast<float>(kStep);
      low[i] -= static_cast<float>(kStep);
      const auto up = small->exact(high.data(), 0.75, observation.data());
      const auto down = small->exact(low.data(), 0.75, observation.data());
      double expected = 0;
      for (std::size_t j = 0; j < kSize; ++j) expected += double{c[j]} * (up[j] - down[j]) / (2 * kStep);
      CHECK(std::fabs(product[i] - expected) < 1e-3);
    }
    CHECK_THROWS_AS(model.step_vjp(std::span(x).first(3), 0, c, product), ConfigError);
    CHECK_THROWS_AS(model.step_vjp(x, 2, c, product), ConfigError);
    CHECK_THROWS_AS(model.step_vjp(x, 0, std::span(c).first(3), product), ConfigError);
    CHECK_THROWS_AS(model.step_vjp(x, 0, c, std::span(product).first(3)), ConfigError);
  }
  Small gone;
  NativeModel without(Small::plan(), gone.weights(), kSignature, best_instruction_set());
  CHECK_THROWS_AS(without.prepare_vjp(), ModelError);
}

namespace {

void check_quiet(WeightType type, int threads) {
  Runner runner(best_instruction_set(), type, threads);
  runner.chunk();
  const long before = allocations();
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const long faults = usage.ru_minflt + usage.ru_majflt;
  for (int i = 0; i < 1000; ++i) runner.chunk();
  getrusage(RUSAGE_THREAD, &usage);
  CHECK(allocations() == before);
  CHECK(usage.ru_minflt + usage.ru_majflt == faults);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
  const int code = syscall_trap::exit_code_of([&] {
    Runner own(best_instruction_set(), type, threads);  // its second thread, which a fork leaves behind
    own.chunk();
    syscall_trap::arm();
    for (int i = 0; i < 10; ++i) own.chunk();
    _exit(syscall_trap::kClean);
  });
  CHECK((code == syscall_trap::kClean || code == syscall_trap::kNoFilter));
#endif
}

}  // namespace

TEST_CASE("a chunk allocates nothing, calls no system and faults no page, in every precision") {
  for (const WeightType type : {WeightType::Float32, WeightType::BFloat16, WeightType::Int8})
    for (const int threads : {1, 2}) {
      CAPTURE(static_cast<int>(type));
      CAPTURE(threads);
      check_quiet(type, threads);
    }
}

TEST_CASE("denormal numbers are zero inside and the thread's own mode comes back") {
  Runner runner;
  volatile float tiny = 1e-40f;
  runner.x.fill(1e-40f);
  runner.chunk();
  CHECK(tiny * 1.0f == 1e-40f);
  const auto denormal = runner.answer;
  runner.x.fill(0.0f);
  runner.chunk();
  CHECK(denormal == runner.answer);
}

TEST_CASE("misuse is an error and changes nothing") {
  Runner runner;
  std::array<float, kSize> out{};
  CHECK_THROWS_AS(runner.model.step(runner.x, 0, out), ModelError);  // before encode
  runner.chunk();
  CHECK_THROWS_AS(runner.model.step(runner.x, 2, out), ConfigError);
  CHECK_THROWS_AS(runner.model.step(runner.x, -1, out), ConfigError);
  CHECK_THROWS_AS(runner.model.step({runner.x.data(), 3}, 0, out), ConfigError);
  CHECK_THROWS_AS(runner.model.prepare({}), ConfigError);
  CHECK_THROWS_AS(runner.model.prepare(std::vector<double>{NAN}), ConfigError);
  const std::vector<std::int64_t> other{2};
  const TensorView view{runner.observation.data(), DType::Float32, other};
  CHECK_THROWS_AS(runner.model.encode({&view, 1}), ConfigError);
  const auto before = runner.answer;
  for (int k = 0; k < 2; ++k) runner.model.step(runner.x, k, runner.answer[static_cast<std::size_t>(k)]);
  CHECK(before == runner.answer);
}

TEST_CASE("a plan's every number is checked, and the field is named") {
  const Small small;
  const auto refused = [&](const char* field, auto change) {
    Plan plan = Small::plan();
    change(plan);
    CAPTURE(field);
    try {
      const NativeModel model(std::move(plan), small.weights(), kSignature, InstructionSet::Portable);
      FAIL("accepted");
    } catch (const FormatError& e) {
      CHECK(e.name() == std::string("plan.json#/") + field);
    }
  };
  refused("buffers/4/tensor", [](Plan& p) { p.buffers[4].tensor = "other"; });
  refused("buffers/10/size", [](Plan& p) { p.buffers[10].size = 0; });
  refused("buffers/10/size", [](Plan& p) { p.buffers[10].size = std::int64_t{1} << 40; });
  refused("views/4/buffer", [](Plan& p) { p.views[4].buffer = 12; });
  refused("views/4/buffer", [](Plan& p) { p.views[4].buffer = -1; });
  refused("views/4/offset", [](Plan& p) { p.views[4].offset = kHidden * kSize; });
  refused("views/4/shape[1]", [](Plan& p) { p.views[4].offset = 1; });
  refused("views/4/shape[0]", [](Plan& p) { p.views[4].shape[0] = 0; });
  refused("views/4/shape[0]", [](Plan& p) { p.views[4].shape[0] = kHidden + 1; });
  refused("views/4/shape[1]", [](Plan& p) {
    p.views[4].shape = {1 << 20, 1 << 20};
    p.views[4].strides = {0, 0};
  });
  refused("views/4/strides", [](Plan& p) { p.views[4].strides.pop_back(); });
  refused("views/4/strides[0]", [](Plan& p) { p.views[4].strides[0] = -1; });
  refused("step/0/inputs/0", [](Plan& p) { p.stages[2][0].inputs[0] = 99; });
  refused("step/0/inputs/0", [](Plan& p) { p.stages[2][0].inputs[0] = 11; });  // read before it is written
  refused("step/0/inputs/1", [](Plan& p) { p.stages[2][0].inputs[1] = 1; });   // an observation, in step
  refused("step/0/output", [](Plan& p) { p.stages[2][0].output = 4; });        // a weight
  refused("step/0/output", [](Plan& p) { p.stages[2][0].output = 9999; });
  refused("encode/0/output", [](Plan& p) { p.stages[1][0].output = 8; });  // a row, in encode
  refused("step/1/op", [](Plan& p) { p.stages[2][1].name = "launch"; });
  refused("step/1/function", [](Plan& p) { p.stages[2][1].function = "add"; });
  refused("step/0/function", [](Plan& p) { p.stages[2][0].function = "xor"; });
  refused("step/0/inputs", [](Plan& p) { p.stages[2][0].inputs.pop_back(); });
  refused("step/1/inputs/0", [](Plan& p) { p.stages[2][1].inputs[0] = 8; });  // 40 numbers where 12 belong
  refused("step/1/inputs/1", [](Plan& p) { p.stages[2][1].inputs[1] = 9; });  // no weight
  refused("step/1/inputs/2", [](Plan& p) { p.stages[2][1].inputs[2] = 2; });  // a bias of another length
  refused("step/1/output", [](Plan& p) {                                      // the bias
    p.stages[2][1].output = 10;
    p.stages[2][2].inputs[0] = 10;
  });
  refused("buffers/3", [](Plan& p) { p.stages[2].pop_back(); });  // nobody writes the answer
  refused("buffers/10", [](Plan& p) { p.stages[1].push_back({"elementwise", {9}, 10, "copy", {}}); });
  refused("buffers/12", [](Plan& p) { p.buffers.push_back({BufferRole::Answer, kSize, ""}); });
}

TEST_CASE("temporary buffers that live at the same time are apart, others share memory") {
  std::mt19937 random(3);
  for (int trial = 0; trial < 200; ++trial) {
    Plan plan;
    const int n = 20;
    for (int b = 0; b < n; ++b) {
      plan.buffers.push_back({BufferRole::Temporary, static_cast<std::int64_t>(random() % 70 + 1), ""});
      plan.views.push_back({b, 0, {}, {}});
    }
    for (int i = 0; i < 40; ++i)
      plan.stages[2].push_back(
          {"elementwise", {static_cast<int>(random() % (i / 2 + 1))}, std::min(i / 2, n - 1), "copy", {}});
    std::int64_t total = 0;
    const auto offsets = place_temporaries(plan, total);
    const auto lives = lifetimes(plan);
    std::int64_t sum = 0;
    for (std::size_t a = 0; a < plan.buffers.size(); ++a) {
      sum += (plan.buffers[a].size + 15) / 16 * 16;
      REQUIRE(offsets[a] + plan.buffers[a].size <= total);
      for (std::size_t b = 0; b < a; ++b) {
        const bool together = lives[a].first <= lives[b].last && lives[b].first <= lives[a].last;
        const bool apart = offsets[a] + plan.buffers[a].size <= offsets[b] ||
                           offsets[b] + plan.buffers[b].size <= offsets[a];
        CHECK((apart || !together));
      }
    }
    CHECK(total <= sum);
  }
}
