#pragma once
// Eight floats. See vector_math.hpp for what these functions promise.
#include <immintrin.h>

#include <cstdint>

namespace vla_rt {
namespace {

using Vec = __m256;
constexpr int kWidth = 8;
/// Accumulators that stay in registers for a matrix with so many rows: vectors of outputs, rows.
struct Tile {
  int vectors, rows;
};
constexpr int kAccumulators = 12, kMostVectors = 8, kMostRows = 6;
constexpr Tile tile_of(int num_rows) { return num_rows == 1 ? Tile{8, 1} : Tile{2, 6}; }

inline __m256i first(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline Vec set1(float v) { return _mm256_set1_ps(v); }
inline Vec load(const float* p) { return _mm256_loadu_ps(p); }
inline Vec load_some(const float* p, int n) { return _mm256_maskload_ps(p, first(n)); }
inline void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
inline void store_some(float* p, Vec v, int n) { _mm256_maskstore_ps(p, first(n), v); }
inline Vec keep_some(Vec v, Vec otherwise, int n) {
  return _mm256_blendv_ps(otherwise, v, _mm256_castsi256_ps(first(n)));
}

inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
inline Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
inline Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
inline Vec min_or_second(Vec a, Vec b) { return _mm256_min_ps(a, b); }
inline Vec max_or_second(Vec a, Vec b) { return _mm256_max_ps(a, b); }
inline Vec root(Vec a) { return _mm256_sqrt_ps(a); }
inline Vec absolute(Vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
inline Vec rounded(Vec a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

inline Vec power_of_two(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
// In two factors, so that the ends of the exponent's range are reached.
inline Vec times_power_of_two(Vec a, Vec n) {
  const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
  return mul(mul(a, power_of_two(half)), power_of_two(_mm256_sub_epi32(whole, half)));
}
inline Vec exponent_of(Vec a) {
  const __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(absolute(a)), 23);
  return _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)));
}
inline Vec mantissa_of(Vec a) {
  const __m256i fraction = _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0x007fffff));
  return _mm256_castsi256_ps(_mm256_or_si256(fraction, _mm256_set1_epi32(0x3f800000)));
}

using Mask = __m256;
inline Mask less(Vec a, Vec b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
inline Mask less_equal(Vec a, Vec b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
inline Mask equal(Vec a, Vec b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
inline Vec select(Mask m, Vec yes, Vec no) { return _mm256_blendv_ps(no, yes, m); }

inline float sum(Vec v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
/// Lane i is the sum of v[i].
inline Vec sums(const Vec (&v)[kWidth]) {
  const Vec a = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
  const Vec b = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
  return add(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
inline float largest(Vec v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

}  // namespace
}  // namespace vla_rt
