#include "vla_rt/sampling/noise.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "vla_rt/sampling/philox.hpp"

namespace vla_rt {
namespace {

constexpr std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
constexpr std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

// The functions below are branch-free double arithmetic of our own: compilers run them on several numbers at
// once, and no library, processor or instruction set changes a bit of what they answer.

constexpr std::uint64_t kExponentOf2Pow52 = 0x4330000000000000;

/// A whole number below 2^52.
double whole(std::uint64_t n) { return std::bit_cast<double>(n | kExponentOf2Pow52) - 0x1p52; }

double uniform(std::uint32_t word) { return (whole(word) + 0.5) * 0x1p-32; }

/// ln x of a normal number: x = 2^e m with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m-1)/(m+1)) by its
/// series. Error below 3e-16 of the result for x in (0, 1).
double natural_log(double x) {
  constexpr std::uint64_t kOne = 0x3FF0000000000000, kRootOfHalf = 0x3FE6A09E667F3BCD;
  const std::uint64_t shifted = std::bit_cast<std::uint64_t>(x) + (kOne - kRootOfHalf);
  const double e = whole(shifted >> 52) - 1023.0;
  const double m = std::bit_cast<double>((shifted & 0x000FFFFFFFFFFFFF) + kRootOfHalf);
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double sum = 1.0 / 23;
  sum = sum * z + 1.0 / 21;
  sum = sum * z + 1.0 / 19;
  sum = sum * z + 1.0 / 17;
  sum = sum * z + 1.0 / 15;
  sum = sum * z + 1.0 / 13;
  sum = sum * z + 1.0 / 11;
  sum = sum * z + 1.0 / 9;
  sum = sum * z + 1.0 / 7;
  sum = sum * z + 1.0 / 5;
  sum = sum * z + 1.0 / 3;
  return e * std::numbers::ln2 + 2.0 * (s + s * z * sum);
}

struct Direction {
  double cosine, sine;
};

/// cos and sin of 2 pi (word + 1/2) / 2^32: the nearest quarter turn, and Taylor series of the rest, which is
/// exact before it is multiplied by 2 pi and at most pi/4 after. Error below 3e-16.
Direction direction(std::uint32_t word) {
  const std::uint64_t quarter = (std::uint64_t{word} + (std::uint64_t{1} << 29)) >> 30;  // 0..4
  const double x = 2.0 * std::numbers::pi * (uniform(word) - whole(quarter) * 0.25), z = x * x;
  double sine = -1.0 / 1307674368000;  // 15!
  sine = sine * z + 1.0 / 6227020800;
  sine = sine * z - 1.0 / 39916800;
  sine = sine * z + 1.0 / 362880;
  sine = sine * z - 1.0 / 5040;
  sine = sine * z + 1.0 / 120;
  sine = sine * z - 1.0 / 6;
  sine = x + x * z * sine;
  double cosine = 1.0 / 20922789888000;  // 16!
  cosine = cosine * z - 1.0 / 87178291200;
  cosine = cosine * z + 1.0 / 479001600;
  cosine = cosine * z - 1.0 / 3628800;
  cosine = cosine * z + 1.0 / 40320;
  cosine = cosine * z - 1.0 / 720;
  cosine = cosine * z + 1.0 / 24;
  cosine = 1.0 - z * (0.5 - z * cosine);
  // A quarter turn makes (c, s) into (-s, c).
  const std::uint64_t odd = 0 - (quarter & 1), sign = std::uint64_t{1} << 63;
  const auto c = std::bit_cast<std::uint64_t>(cosine), s = std::bit_cast<std::uint64_t>(sine);
  const std::uint64_t turned_c = ((c & ~odd) | (s & odd)) ^ (((quarter + 1) << 62) & sign);
  const std::uint64_t turned_s = ((s & ~odd) | (c & odd)) ^ ((quarter << 62) & sign);
  return {std::bit_cast<double>(turned_c), std::bit_cast<double>(turned_s)};
}

}  // namespace

double uniform_at(const NoiseSource& source, std::uint32_t step, std::uint32_t block) noexcept {
  return uniform(philox4x32_10({low(source.chunk), high(source.chunk), step, block},
                               {low(source.seed), high(source.seed)})[0]);
}

void fill_noise(const NoiseSource& source, std::uint32_t step, std::span<float> out) noexcept {
  const std::array<std::uint32_t, 2> key{low(source.seed), high(source.seed)};
  constexpr std::size_t kPairs = 32;  // Box-Muller pairs that are computed side by side
  std::array<std::uint32_t, kPairs> radius_words, angle_words;
  std::array<float, 2 * kPairs> normals;
  for (std::size_t begin = 0; begin < out.size(); begin += normals.size()) {
    const std::size_t count = std::min(normals.size(), out.size() - begin);
    for (std::size_t i = 0; i < (count + 3) / 4; ++i) {
      const auto block = static_cast<std::uint32_t>(begin / 4 + i);
      const auto words = philox4x32_10({low(source.chunk), high(source.chunk), step, block}, key);
      radius_words[2 * i] = words[0];
      angle_words[2 * i] = words[1];
      radius_words[2 * i + 1] = words[2];
      angle_words[2 * i + 1] = words[3];
    }
    const std::size_t pairs = (count + 3) / 4 * 2;
    for (std::size_t i = 0; i < pairs; ++i) {
      const double radius = std::sqrt(-2.0 * natural_log(uniform(radius_words[i])));
      const Direction angle = direction(angle_words[i]);
      normals[2 * i] = static_cast<float>(radius * angle.cosine);
      normals[2 * i + 1] = static_cast<float>(radius * angle.sine);
    }
    std::copy_n(normals.begin(), count, out.begin() + static_cast<long>(begin));
  }
}

}  // namespace vla_rt
