#pragma once
#include <cstdint>
#include <span>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Names one chunk's stream of noise: the same source gives the same bits on every backend and machine.
struct NoiseSource {
  std::uint64_t seed = 0;
  std::uint64_t chunk = 0;  ///< counts the chunks of one run, from 0

  constexpr NoiseSource() noexcept = default;
  constexpr NoiseSource(std::uint64_t seed_, std::uint64_t chunk_ = 0) noexcept
      : seed(seed_), chunk(chunk_) {}
};

/// Standard normal values of step `step`: 0 is the initial noise, k+1 the noise that sampling step k adds.
///
/// Philox4x32-10 with key = seed (low word, high word) and counter = (chunk low, chunk high, step, element
/// block); each block of 4 words gives 4 elements: Box-Muller on the word pairs (0,1) and (2,3), u = (word +
/// 1/2) / 2^32, r = sqrt(-2 ln u0), (r cos 2 pi u1, r sin 2 pi u1), in double, rounded to float32.
/// Logarithm, cosine and sine are this library's own, exact to 3e-16: the bits depend on no processor, no
/// compiler and no C library, and are those of a correctly rounded one in all but some 1e-8 of the values,
/// there the neighbouring float32. Real-time:
/// no allocation, does not throw. Thread: any.
VLA_RT_API void fill_noise(const NoiseSource& source, std::uint32_t step, std::span<float> out) noexcept;

/// A number in (0, 1): u of the first word of one block of that stream. For choices, which take one number
/// each. Real-time: no allocation, does not throw. Thread: any.
[[nodiscard]] VLA_RT_API double uniform_at(const NoiseSource& source, std::uint32_t step,
                                           std::uint32_t block) noexcept;

}  // namespace vla_rt
