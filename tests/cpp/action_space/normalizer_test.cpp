#include "vla_rt/action_space/normalizer.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

NormalizerSpec quantiles(NormalizationConvention convention) {
  NormalizerSpec spec;
  spec.mode = NormalizationMode::Quantiles;
  spec.convention = convention;
  spec.q01 = {-1.0, 0.0};
  spec.q99 = {3.0, 0.5};
  return spec;
}

std::string message_of(const NormalizerSpec& spec) {
  try {
    spec.validate();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("openpi adds 1e-6 to the range both ways") {
  const Normalizer normalizer(quantiles(NormalizationConvention::OpenPi));
  const std::array<double, 4> x = {3.0, 0.25, -1.0, 0.5};
  std::array<double, 4> y{}, back{};
  normalizer.normalize(x, y);
  CHECK(y[0] == 2 * 4.0 / (4.0 + 1e-6) - 1);
  CHECK(y[2] == -1.0);
  normalizer.denormalize(std::span<const double>(y), back);
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(back[i] == doctest::Approx(x[i]).epsilon(1e-14));
}

TEST_CASE("float spans are computed in double and rounded once, in place too") {
  const Normalizer normalizer(quantiles(NormalizationConvention::LeRobot));
  std::array<float, 2> x = {0.1F, 0.3F};
  const auto expected = static_cast<float>(2 * (static_cast<double>(0.1F) + 1.0) / 4.0 - 1);
  normalizer.normalize(x, x);
  CHECK(x[0] == expected);
}

TEST_CASE("a refused input leaves the output alone") {
  const Normalizer normalizer(quantiles(NormalizationConvention::LeRobot));
  const std::array<double, 4> x = {0, 0, 0, std::numeric_limits<double>::infinity()};
  std::array<double, 4> y = {7, 7, 7, 7};
  CHECK_THROWS_WITH_AS(normalizer.normalize(x, y), "x[3] = inf: must be finite", ConfigError);
  CHECK_THROWS_AS(normalizer.normalize(std::span(x).first(3), std::span(y).first(3)), ConfigError);
  CHECK_THROWS_AS(normalizer.normalize(std::span(x).first(2), y), ConfigError);
  for (const double v : y) CHECK(v == 7);
}

TEST_CASE("a broken spec is named") {
  NormalizerSpec spec = quantiles(NormalizationConvention::LeRobot);
  CHECK(message_of(spec).empty());
  spec.mode = NormalizationMode::MinMax;
  CHECK(message_of(spec) == "min: missing; mode min_max needs it");
  spec = quantiles(NormalizationConvention::LeRobot);
  spec.q99.push_back(1);
  CHECK(message_of(spec) == "q99 = 3 values: must have 2");
  spec = quantiles(NormalizationConvention::LeRobot);
  spec.q01[1] = std::numeric_limits<double>::quiet_NaN();
  CHECK(message_of(spec) == "q01[1] = nan: must be finite");
  spec = quantiles(NormalizationConvention::LeRobot);
  spec.q01[1] = 0.75;
  CHECK(message_of(spec) == "q01[1] = 0.75: must be <= q99 = 0.5");
  spec = quantiles(NormalizationConvention::LeRobot);
  spec.mask = {1, 2};
  CHECK(message_of(spec) == "mask[1] = 2: must be 0 or 1");
}

TEST_CASE("only what the mode uses is kept") {
  NormalizerSpec spec = quantiles(NormalizationConvention::LeRobot);
  spec.mean = {0, 0};
  CHECK(Normalizer(spec).spec() == quantiles(NormalizationConvention::LeRobot));
  spec.mode = NormalizationMode::Identity;
  CHECK(Normalizer(spec).dimension() == 0);
}
