#include "vla_rt/tokenization/fast_tokenizer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <thread>
#include <vector>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

// Every ASCII byte as a token, and some merges.
const char* const kTokenizer = R"({
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
  "model": {"type": "BPE",
            "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4, "abc": 5, "aa": 6, "Ġ": 7, "Ġa": 8, "raw é": 9},
            "merges": [["b", "c"], ["a", "b"], ["a", "bc"], ["a", "a"], ["Ġ", "a"]]}})";

std::vector<std::int32_t> encode(const BytePairEncoder& encoder, const std::string& text) {
  const std::vector<std::int32_t> characters(text.begin(), text.end());
  std::vector<std::int32_t> ids;
  encoder.encode(characters, ids);
  return ids;
}

}  // namespace

TEST_CASE("the pair learnt first is merged first, then the leftmost") {
  const BytePairEncoder encoder = BytePairEncoder::from_json(kTokenizer);
  CHECK(encode(encoder, "abc") == std::vector<std::int32_t>{5});  // b+c before a+b
  CHECK(encode(encoder, "aaa") == std::vector<std::int32_t>{6, 0});
  CHECK(encode(encoder, "abab") == std::vector<std::int32_t>{3, 3});
  CHECK(encode(encoder, "b a") == std::vector<std::int32_t>{1, 8});
  CHECK(encode(encoder, "").empty());
  CHECK(encoder.decode(std::array<std::int64_t, 3>{5, 8, 9}) == "abc araw \xC3\xA9");
  CHECK_THROWS_WITH_AS((void)encode(encoder, "ax"), "text[1] = 120: has a byte that is not in the vocabulary",
                       ConfigError);
  CHECK_THROWS_AS((void)encoder.decode(std::array<std::int64_t, 1>{10}), ConfigError);
  CHECK(encode(BytePairEncoder::from_json(encoder.to_json()), "abc aab") == encode(encoder, "abc aab"));
}

TEST_CASE("the transform equals its definition and its inverse undoes it") {
  for (const int horizon : {1, 2, 3, 4, 7, 16, 25, 50}) {
    const CosineTransform transform(horizon);
    for (const int dim : {1, 7, 8, 19}) {
      const auto size = static_cast<std::size_t>(horizon * dim);
      std::vector<double> x(size), y(size), back(size);
      for (std::size_t i = 0; i < size; ++i) x[i] = std::sin(1.7 * static_cast<double>(i * i));
      transform.forward(x, y);
      transform.inverse(y, back);
      double worst = 0;
      for (int k = 0; k < horizon; ++k)
        for (int d = 0; d < dim; ++d) {
          double sum = 0;
          for (int t = 0; t < horizon; ++t)
            sum += x[static_cast<std::size_t>(t * dim + d)] *
                   std::cos(std::numbers::pi * (2 * t + 1) * k / (2.0 * horizon));
          sum *= std::sqrt((k == 0 ? 1.0 : 2.0) / horizon);
          const auto i = static_cast<std::size_t>(k * dim + d);
          worst = std::max({worst, std::abs(sum - y[i]), std::abs(back[i] - x[i])});
        }
      CHECK(worst < 1e-13);
    }
  }
  CHECK_THROWS_AS(CosineTransform(0), ConfigError);
  CHECK_THROWS_AS(CosineTransform(1025), ConfigError);
}

TEST_CASE("threads with different horizons share one tokenizer") {
  FastTokenizer::Config config;
  config.min_token = -'b';
  const FastTokenizer tokenizer(BytePairEncoder::from_json(kTokenizer), config);
  const std::vector<double> flat(64, 0.0);
  const std::vector<std::int32_t> expected = tokenizer.encode(flat, 8);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t i = 0; i < wrong.size(); ++i)
    threads.emplace_back([&, i] {
      for (int r = 0; r < 200; ++r)
        if (tokenizer.encode(flat, i % 2 == 0 ? 8 : 16) != expected) ++wrong[i];
    });
  for (std::thread& thread : threads) thread.join();
  for (const int count : wrong) CHECK(count == 0);
}
