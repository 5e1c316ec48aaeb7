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
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const Vec near = _mm512_castsi512_ps(_mm512_and_si512(up, _mm512_set1_epi32(-65536)));
  return select(equal(v, v), near, v);
}

struct Bf16 {
  using Input = float;
  using Sum = Vec;
  struct Weights {
    Vec even, odd;
  };
  static constexpr int kGroup = 2, kWeightBytes = 2;
  static Sum zero() { return _mm512_setzero_ps(); }
  static Weights load(const std::byte* p) {
    const __m512i pairs = _mm512_loadu_si512(p);
    return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)))};
  }
  static Sum add(Sum s, Weights w, const Input* x) {
    return fma(w.odd, set1(x[1]), fma(w.even, set1(x[0]), s));
  }
  static void put(Input* to, Vec v, int n) { store_some(to, rounded_to_bf16(v), n); }
};

struct Int8 {
  using Input = std::int16_t;
  typedef int Sum __attribute__((vector_size(64)));  // a type that stays in a register
  using Weights = __m512i;
  static constexpr int kGroup = 2, kWeightBytes = 1;
  static Sum zero() { return Sum{}; }
  static Weights load(const std::byte* p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Sum add(Sum s, Weights w, const Input* x) {
    std::int32_t two;
    memcpy(&two, x, sizeof two);
    return s + (Sum)_mm512_madd_epi16(w, _mm512_set1_epi32(two));
  }
  static Vec floats(Sum s) { return _mm512_cvtepi32_ps((__m512i)s); }
  static void put(Input* to, Vec v, int n) {
    _mm256_mask_storeu_epi16(to, first(n), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(v)));
  }
};

}  // namespace
}  // namespace vla_rt
