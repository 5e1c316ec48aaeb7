#pragma once
// Sixteen floats. See vector_math.hpp for what these functions promise.
#include <immintrin.h>

#include <cstdint>

namespace vla_rt {
namespace {

using Vec = __m512;
constexpr int kWidth = 16;
/// Accumulators that stay in registers for a matrix with so many rows: vectors of outputs, rows.
struct Tile {
  int vectors, rows;
};
constexpr int kAccumulators = 24, kMostVectors = 16, kMostRows = 8;
constexpr Tile tile_of(int num_rows) {
  if (num_rows == 1) return {16, 1};  // a stream of weights out of L2
  if (num_rows <= 4) return {4, 4};
  if (num_rows <= 16) return {2, 8};  // weights out of memory: at most twice past each panel
  return {4, 6};
}

inline __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline Vec set1(float v) { return _mm512_set1_ps(v); }
inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline Vec load_some(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
inline void store_some(float* p, Vec v, int n) { _mm512_mask_storeu_ps(p, first(n), v); }
inline Vec keep_some(Vec v, Vec otherwise, int n) { return _mm512_mask_mov_ps(otherwise, first(n), v); }

inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
inline Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec min_or_second(Vec a, Vec b) { return _mm512_min_ps(a, b); }
inline Vec max_or_second(Vec a, Vec b) { return _mm512_max_ps(a, b); }
inline Vec root(Vec a) { return _mm512_sqrt_ps(a); }
inline Vec absolute(Vec a) { return _mm512_abs_ps(a); }
inline Vec rounded(Vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline Vec times_power_of_two(Vec a, Vec n) { return _mm512_scalef_ps(a, n); }
inline Vec exponent_of(Vec a) { return _mm512_getexp_ps(a); }
inline Vec mantissa_of(Vec a) { return _mm512_getmant_ps(a, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero); }

using Mask = __mmask16;
inline Mask less(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
inline Mask less_equal(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
inline Mask equal(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
inline Vec select(Mask m, Vec yes, Vec no) { return _mm512_mask_blend_ps(m, no, yes); }

inline float sum(Vec v) { return _mm512_reduce_add_ps(v); }
/// Lane i is the sum of v[i].
inline Vec sums(const Vec (&v)[kWidth]) {
  Vec four[4];  // of each four: their sums over every quarter, quarter by quarter
  for (int i = 0; i < 4; ++i) {
    Vec two[2];
    for (int j = 0; j < 2; ++j) {
      const Vec a = v[4 * i + 2 * j], b = v[4 * i + 2 * j + 1];
      two[j] = add(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    }
    const __m512d a = _mm512_castps_pd(two[0]), b = _mm512_castps_pd(two[1]);
    four[i] = add(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  const auto halves = [](Vec a, Vec b) {
    return add(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
  };
  return halves(halves(four[0], four[1]), halves(four[2], four[3]));
}
inline float largest(Vec v) { return _mm512_reduce_max_ps(v); }

}  // namespace
}  // namespace vla_rt
