#pragma once
// Narrow numbers widened: bfloat16 to float, bytes to 16 bits. See narrow.hpp for what these types promise.
#include <immintrin.h>
#include <string.h>

#include <cstddef>
#include <cstdint>

namespace vla_rt {
namespace {

/// To the nearest bfloat16, half to even; NaN stays one.
inline Vec rounded_to_bf16(Vec v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const Vec near = _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32(-65536)));
  return select(equal(v, v), near, v);
}

struct Bf16 {
  using Input = float;
  using Sum = Vec;
  struct Weights {
    Vec even, odd;
  };
  static constexpr int kGroup = 2, kWeightBytes = 2;
  static Sum zero() { return _mm256_setzero_ps(); }
  static Weights load(const std::byte* p) {
    const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)),
            _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)))};
  }
  static Sum add(Sum s, Weights w, const Input* x) {
    return fma(w.odd, set1(x[1]), fma(w.even, set1(x[0]), s));
  }
  static void put(Input* to, Vec v, int n) { store_some(to, rounded_to_bf16(v), n); }
};

struct Int8 {
  using Input = std::int16_t;
  typedef int Sum __attribute__((vector_size(32)));  // a type that stays in a register
  using Weights = __m256i;
  static constexpr int kGroup = 2, kWeightBytes = 1;
  static Sum zero() { return Sum{}; }
  static Weights load(const std::byte* p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Sum add(Sum s, Weights w, const Input* x) {
    std::int32_t two;
    memcpy(&two, x, sizeof two);
    return s + (Sum)_mm256_madd_epi16(w, _mm256_set1_epi32(two));
  }
  static Vec floats(Sum s) { return _mm256_cvtepi32_ps((__m256i)s); }
  static void put(Input* to, Vec v, int n) {
    alignas(32) std::int32_t whole[kWidth];
    _mm256_store_si256(reinterpret_cast<__m256i*>(whole), _mm256_cvtps_epi32(v));
    for (int i = 0; i < n; ++i) to[i] = static_cast<std::int16_t>(whole[i]);
  }
};

}  // namespace
}  // namespace vla_rt
