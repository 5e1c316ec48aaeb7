#include "vla_rt/sampling/cached_token_model.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

/// The next token is the sum of all tokens before it, modulo V; the sum is the cache.
class SumModel final : public Model {
 public:
  explicit SumModel(int vocabulary) : vocabulary_(vocabulary) {}

  std::span<const TensorSpec> observation_spec() const noexcept override { return {}; }
  int horizon() const noexcept override { return 1; }
  int action_dim() const noexcept override { return 1; }
  int vocabulary() const noexcept override { return vocabulary_; }
  std::string backend() const override { return "sum"; }
  void prepare(std::span<const double> /*times*/) override {}
  void encode(std::span<const TensorView> /*observation*/) override { positions.clear(); }
  void step(std::span<const float> x, int k, std::span<float> out) override {
    if (k == 0) sum_ = 0;
    sum_ += static_cast<int>(x[0]);
    positions.push_back(k);
    if (fail) throw ModelError("sum", "", "fails");
    std::ranges::fill(out, 0.0F);
    out[static_cast<std::size_t>(sum_ % vocabulary_)] = 1;
  }

  std::vector<int> positions;
  bool fail = false;

 private:
  int vocabulary_, sum_ = 0;
};

}  // namespace

TEST_CASE("the autoregressive sampler drives a caching model one token at a time") {
  SumModel model(100);
  CachedTokenModel tokens(model, 1);
  AutoregressiveSampler::Workspace workspace;
  const AutoregressiveSampler sampler({.num_tokens = 6});
  for (int repetition = 0; repetition < 2; ++repetition) {
    model.encode({});
    CHECK(sampler.sample(tokens, 1, 0, workspace) == 6);
    CHECK((workspace.tokens == std::vector<std::int64_t>{1, 2, 4, 8, 16, 32}));
    CHECK((model.positions == std::vector<int>{0, 1, 2, 3, 4, 5}));
  }
}

TEST_CASE("what the caches cannot answer is refused") {
  SumModel model(10);
  SumModel no_tokens(0);
  CHECK_THROWS_AS(CachedTokenModel(no_tokens, 0), ConfigError);
  CHECK_THROWS_AS(CachedTokenModel(model, -1), ConfigError);
  CHECK_THROWS_AS(CachedTokenModel(model, (1 << 24) + 1), ConfigError);
  CachedTokenModel tokens(model, 0);
  const std::array<std::int64_t, 3> sequence{1, 2, 3};
  CHECK_THROWS_AS((void)tokens.next_logits(sequence, 1, 3), ConfigError);  // nothing is cached yet
  CHECK_THROWS_AS((void)tokens.next_logits({}, 2, 0), ConfigError);
  (void)tokens.next_logits({}, 1, 0);
  (void)tokens.next_logits(std::span(sequence).first(1), 1, 1);
  CHECK_THROWS_AS((void)tokens.next_logits(std::span(sequence).first(1), 1, 1), ConfigError);
  CHECK_THROWS_AS((void)tokens.next_logits(sequence, 1, 3), ConfigError);
  model.fail = true;
  CHECK_THROWS_AS((void)tokens.next_logits(std::span(sequence).first(2), 1, 2), ModelError);
  model.fail = false;
  CHECK_THROWS_AS((void)tokens.next_logits(sequence, 1, 3), ConfigError);  // the failed step broke the row
  (void)tokens.next_logits({}, 1, 0);
}
