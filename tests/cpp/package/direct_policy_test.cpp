#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "package/policy_documents.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/package/policy.hpp"

using namespace vla_rt;
using vla_rt::testing::kDocument;

namespace {

std::string document(const std::string& sampler) {
  const std::string flow = R"({"type": "flow_matching", "num_steps": 4, "solver": "euler", "noise_at": 0})";
  return std::string(kDocument).replace(kDocument.find(flow), flow.size(), sampler);
}

/// Answers the same numbers whatever it is asked.
class ConstantModel final : public Model {
 public:
  ConstantModel(const PolicySpec& spec, std::vector<float> answer)
      : signature_(signature_of(spec)), answer_(std::move(answer)) {}
  std::span<const TensorSpec> observation_spec() const noexcept override { return signature_.observation; }
  int horizon() const noexcept override { return signature_.horizon; }
  int action_dim() const noexcept override { return signature_.action_dim; }
  std::size_t output_size() const noexcept override { return answer_.size(); }
  std::string backend() const override { return "constant"; }
  void prepare(std::span<const double> times) override { CHECK(times.size() == 1); }
  void encode(std::span<const TensorView> /*observation*/) override {}
  void step(std::span<const float> x, int k, std::span<float> out) override {
    CHECK(x.size() == 6);
    CHECK(k == 0);
    std::ranges::copy(answer_, out.begin());
  }

 private:
  ModelSignature signature_;
  std::vector<float> answer_;
};

std::vector<double> sample(const std::string& sampler, std::vector<float> answer,
                           std::span<const float> step_noise = {}) {
  PolicySpec spec = parse_policy_spec(document(sampler));
  CHECK(parse_policy_spec(to_json(spec)) == spec);
  spec.action_normalizer = NormalizerSpec{};
  Policy policy(spec, std::make_unique<ConstantModel>(spec, std::move(answer)));
  Observation observation;
  observation.set("observation.state", std::array{1.0, 2.0});
  const std::array<std::int64_t, 3> image{3, 1, 2};
  const std::array<float, 6> pixels{};
  observation.set("camera", DType::Float32, image, pixels.data());
  const std::int64_t task = 1, extent = 1;
  observation.set("task", DType::Int64, {&extent, 1}, &task);
  ActionChunk chunk;
  policy.sample(observation, 0, chunk, {}, step_noise);
  return {chunk.values.begin(), chunk.values.begin() + 6};
}

}  // namespace

TEST_CASE("direct policies: the answer is the chunk") {
  const std::string options = R"("num_components": 1, "clip_sample": false, "clip_range": 1})";
  CHECK(sample(R"({"type": "direct", "head": "value", "mode": "mean", )" + options, {1, 2, 3, 4, 5, 6}) ==
        std::vector<double>{1, 2, 3, 4, 5, 6});
  const std::string clipped = R"("num_components": 1, "clip_sample": true, "clip_range": 2.5})";
  CHECK(sample(R"({"type": "direct", "head": "value", "mode": "mean", )" + clipped, {1, 2, 3, -4, 5, 6}) ==
        std::vector<double>{1, 2, 2.5, -2.5, 2.5, 2.5});
  const std::vector<float> normal{1, 2, 3, 4, 5, 6, 0, 1, 2, 0, 0.5F, 1};
  CHECK(sample(R"({"type": "direct", "head": "normal", "mode": "mean", )" + options, normal) ==
        std::vector<double>{1, 2, 3, 4, 5, 6});
  const std::vector<float> z{1, -1, 2, 9, 4, 0};
  CHECK(sample(R"({"type": "direct", "head": "normal", "mode": "sample", )" + options, normal, z) ==
        std::vector<double>{1, 1, 7, 4, 7, 6});
  CHECK_THROWS_WITH_AS(sample(R"({"type": "direct", "head": "normal", "mode": "mean", )" + options,
                              {1, 2, 3, 4, 5, 6, 0, 1, 2, -1, 0.5F, 1}),
                       doctest::Contains("[9]"), ModelError);
  CHECK_THROWS_AS(
      sample(R"({"type": "direct", "head": "normal", "mode": "mean", )" + options, {1, 2, 3, 4, 5, 6}),
      ConfigError);  // a network of another head
}

TEST_CASE("a mixture is drawn as a whole, by its weights") {
  std::vector<float> answer;
  for (const float m : {0.0F, 1.0F, 2.0F}) {
    answer.push_back(std::log(0.2F + 0.2F * m));  // 0.2, 0.4, 0.6 of 1.2
    for (int i = 0; i < 6; ++i) answer.push_back(m * 10 + static_cast<float>(i));
    for (int i = 0; i < 6; ++i) answer.push_back(0);
  }
  const std::string rest = R"("num_components": 3, "clip_sample": false, "clip_range": 1})";
  CHECK(sample(R"({"type": "direct", "head": "mixture", "mode": "mode", )" + rest, answer)[5] == 25);
  CHECK(sample(R"({"type": "direct", "head": "mixture", "mode": "mean", )" + rest, answer)[0] ==
        doctest::Approx(10 * (0.4 + 1.2) / 1.2));
  const DirectSampler sampler({DirectHead::Mixture, DirectChoice::Sample, 3});
  std::array<int, 3> counts{};
  for (std::uint64_t chunk = 0; chunk < 3000; ++chunk) {
    std::array<float, 6> x{};
    sampler.decode(answer, {7, chunk}, std::array<float, 6>{}, x);
    const auto m = static_cast<std::size_t>(x[0] / 10);
    for (std::size_t i = 0; i < 6; ++i) CHECK(x[i] == static_cast<float>(m * 10 + i));
    ++counts[m];
  }
  for (std::size_t m = 0; m < 3; ++m)  // 5 sigma of a binomial
    CHECK(std::abs(counts[m] / 3000.0 - (1 + static_cast<double>(m)) / 6) < 5 * 0.5 / std::sqrt(3000.0));
}

TEST_CASE("direct options are bounded") {
  CHECK_THROWS_AS(DirectSampler({DirectHead::Value, DirectChoice::Sample}), ConfigError);
  CHECK_THROWS_AS(DirectSampler({DirectHead::Normal, DirectChoice::Mean, 2}), ConfigError);
  CHECK_THROWS_AS(DirectSampler({DirectHead::Mixture, DirectChoice::Mean, 0}), ConfigError);
  CHECK_THROWS_AS(DirectSampler({DirectHead::Value, DirectChoice::Mean, 1, true, 0}), ConfigError);
}
