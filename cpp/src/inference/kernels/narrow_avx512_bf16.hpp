#pragma once
// Narrow numbers by the dot products of AVX-512 BF16 and VNNI. See narrow.hpp for what these types promise.
#include <immintrin.h>
#include <string.h>

#include <cstddef>
#include <cstdint>

namespace vla_rt {
namespace {

inline __m512i same_four_bytes(const void* p) {
  std::int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}

struct Bf16 {
  using Input = std::uint16_t;
  using Sum = Vec;
  using Weights = __m512i;
  static constexpr int kGroup = 2, kWeightBytes = 2;
  static Sum zero() { return _mm512_setzero_ps(); }
  static Weights load(const std::byte* p) { return _mm512_loadu_si512(p); }
  static Sum add(Sum s, Weights w, const Input* x) {
    return _mm512_dpbf16_ps(s, (__m512bh)w, (__m512bh)same_four_bytes(x));
  }
  static void put(Input* to, Vec v, int n) {
    _mm256_mask_storeu_epi16(to, first(n), (__m256i)_mm512_cvtneps_pbh(v));
  }
};

struct Int8 {
  using Input = std::uint8_t;
  typedef int Sum __attribute__((vector_size(64)));  // a type that stays in a register
  using Weights = __m512i;
  static constexpr int kGroup = 4, kWeightBytes = 1;
  static Sum zero() { return Sum{}; }
  static Weights load(const std::byte* p) { return _mm512_loadu_si512(p); }
  static Sum add(Sum s, Weights w, const Input* x) {
    return (Sum)_mm512_dpbusd_epi32((__m512i)s, same_four_bytes(x), w);
  }
  static Vec floats(Sum s) { return _mm512_cvtepi32_ps((__m512i)s); }
  static void put(Input* to, Vec v, int n) {
    _mm_mask_storeu_epi8(to, first(n), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
  }
};

}  // namespace
}  // namespace vla_rt
