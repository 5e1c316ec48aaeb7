#include "vla_rt/tokenization/tokenizer.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <vector>

#include "vla_rt/core/errors.hpp"
#include "vla_rt/tokenization/motion_tokenizer.hpp"
#include "vla_rt/tokenization/rt1_tokenizer.hpp"
#include "vla_rt/tokenization/uniform_tokenizer.hpp"

using namespace vla_rt;

TEST_CASE("a refused call leaves the output alone") {
  const UniformTokenizer tokenizer(std::array{-1.0, 0.0}, std::array{1.0, 2.0}, 10);
  const std::array<double, 4> bad = {0, 0, 0, std::numeric_limits<double>::quiet_NaN()};
  std::array<std::int64_t, 4> tokens = {7, 7, 7, 7};
  CHECK_THROWS_WITH_AS(tokenizer.encode(bad, tokens), "actions[3] = nan: must be finite", ConfigError);
  CHECK_THROWS_AS(tokenizer.encode(std::span(bad).first(3), std::span(tokens).first(3)), ConfigError);
  CHECK(tokens == std::array<std::int64_t, 4>{7, 7, 7, 7});

  tokens[3] = 10;
  std::array<double, 4> actions = {5, 5, 5, 5};
  CHECK_THROWS_WITH_AS(tokenizer.decode(tokens, actions), "tokens[3] = 10: must be in 0..9", ConfigError);
  CHECK(actions == std::array<double, 4>{5, 5, 5, 5});
}

TEST_CASE("an impossible choice is found before anything is written") {
  const Rt1Tokenizer tokenizer(std::array{0.0}, std::array{1.0}, 8, 2);
  const std::array<std::int64_t, 4> tokens = {0, 1, 0, 2};
  std::array<double, 6> actions{};
  actions.fill(5);
  CHECK_THROWS_WITH_AS(tokenizer.decode(tokens, actions), "tokens[3] = 2: must be in 0..1", ConfigError);
  CHECK(actions[0] == 5);
}

TEST_CASE("motions merge and the gripper holds") {
  const MotionTokenizer tokenizer;
  std::array<double, 7> action{};
  tokenizer.decode(std::array<std::int64_t, 2>{41, 128}, action, 0.25);
  CHECK(action == std::array<double, 7>{0.05, 0, 0, -0.1, 0, 0, 0.25});
  CHECK_THROWS_WITH_AS(tokenizer.decode(std::array<std::int64_t, 2>{0, 256}, action),
                       "tokens[1] = 256: must be in 0..255", ConfigError);
  std::array<std::int64_t, 3> tokens{};
  tokenizer.encode(action, tokens);
  CHECK(tokens == std::array<std::int64_t, 3>{41, 128, 207});
}
