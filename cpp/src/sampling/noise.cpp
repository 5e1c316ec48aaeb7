#include "vla_rt/sampling/noise.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "vla_rt/sampling/philox.hpp"

namespace vla_rt {
namespace {

constexpr std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
constexpr std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

double uniform(std::uint32_t word) { return (static_cast<double>(word) + 0.5) * 0x1p-32; }

}  // namespace

double uniform_at(const NoiseSource& source, std::uint32_t step, std::uint32_t block) noexcept {
  return uniform(philox4x32_10({low(source.chunk), high(source.chunk), step, block},
                               {low(source.seed), high(source.seed)})[0]);
}

void fill_noise(const NoiseSource& source, std::uint32_t step, std::span<float> out) noexcept {
  const std::array<std::uint32_t, 2> key{low(source.seed), high(source.seed)};
  for (std::size_t begin = 0; begin < out.size(); begin += 4) {
    const auto block = static_cast<std::uint32_t>(begin / 4);
    const auto words = philox4x32_10({low(source.chunk), high(source.chunk), step, block}, key);
    std::array<float, 4> normals{};
    for (std::size_t pair = 0; pair < 4; pair += 2) {
      const double radius = std::sqrt(-2.0 * std::log(uniform(words[pair])));
      const double angle = 2.0 * std::numbers::pi * uniform(words[pair + 1]);
      normals[pair] = static_cast<float>(radius * std::cos(angle));
      normals[pair + 1] = static_cast<float>(radius * std::sin(angle));
    }
    std::copy_n(normals.begin(), std::min<std::size_t>(4, out.size() - begin),
                out.begin() + static_cast<long>(begin));
  }
}

}  // namespace vla_rt
