#include "vla_rt/sampling/philox.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "vla_rt/sampling/noise.hpp"

using namespace vla_rt;
using Counter = std::array<std::uint32_t, 4>;

// The published known answers of Random123 (kat_vectors, philox4x32 with 10 rounds).
TEST_CASE("Philox4x32-10 gives the published answers") {
  CHECK((philox4x32_10({0, 0, 0, 0}, {0, 0}) == Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  CHECK((philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
         Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK((philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
         Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST_CASE("noise is Box-Muller in double of the Philox words, rounded to float32") {
  std::vector<float> noise(200'003);  // not a whole number of blocks
  vla_rt::fill_noise({0x1234567890ABCDEF, 77}, 5, noise);
  std::size_t other = 0;
  for (std::size_t i = 0; i < noise.size(); ++i) {
    const auto block = static_cast<std::uint32_t>(i / 4);
    const auto words = vla_rt::philox4x32_10({77, 0, 5, block}, {0x90ABCDEF, 0x12345678});
    const std::size_t pair = i % 4 / 2 * 2;
    const double u = (static_cast<double>(words[pair]) + 0.5) * 0x1p-32;
    const double v = (static_cast<double>(words[pair + 1]) + 0.5) * 0x1p-32;
    const double angle = 2 * std::numbers::pi * v;
    const double normal = std::sqrt(-2 * std::log(u)) * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
    if (noise[i] != static_cast<float>(normal)) ++other;
    CHECK(std::abs(static_cast<double>(noise[i]) - normal) <= std::abs(normal) * 0x1p-23 + 1e-15);
  }
  CHECK(other <= 1);
  std::vector<float> part(13);
  vla_rt::fill_noise({0x1234567890ABCDEF, 77}, 5, part);  // a shorter draw is the beginning of a longer one
  CHECK(std::equal(part.begin(), part.end(), noise.begin()));
}
