#pragma once
// Four floats in the compiler's own vector type: SSE2 on x86-64, NEON on aarch64. See vector_math.hpp for
// what these functions promise.
#include <math.h>
#include <string.h>

#include <cstdint>

namespace vla_rt {
namespace {

typedef float Vec __attribute__((vector_size(16)));
typedef std::int32_t Mask __attribute__((vector_size(16)));
constexpr int kWidth = 4;
/// Accumulators that stay in registers for a matrix with so many rows: vectors of outputs, rows.
struct Tile {
  int vectors, rows;
};
constexpr int kAccumulators = 8, kMostVectors = 8, kMostRows = 4;
constexpr Tile tile_of(int num_rows) { return num_rows == 1 ? Tile{8, 1} : Tile{2, 4}; }

inline Vec set1(float v) { return Vec{v, v, v, v}; }
inline Vec load(const float* p) {
  Vec v;
  memcpy(&v, p, sizeof v);
  return v;
}
inline Vec load_some(const float* p, int n) {
  Vec v = set1(0.0f);
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
inline void store(float* p, Vec v) { memcpy(p, &v, sizeof v); }
inline void store_some(float* p, Vec v, int n) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
inline Vec select(Mask m, Vec yes, Vec no) {
  return reinterpret_cast<Vec>((m & reinterpret_cast<Mask>(yes)) | (~m & reinterpret_cast<Mask>(no)));
}
inline Vec keep_some(Vec v, Vec otherwise, int n) { return select(Mask{0, 1, 2, 3} < n, v, otherwise); }

inline Vec add(Vec a, Vec b) { return a + b; }
inline Vec sub(Vec a, Vec b) { return a - b; }
inline Vec mul(Vec a, Vec b) { return a * b; }
inline Vec div(Vec a, Vec b) { return a / b; }
inline Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
inline Mask less(Vec a, Vec b) { return a < b; }
inline Mask less_equal(Vec a, Vec b) { return a <= b; }
inline Mask equal(Vec a, Vec b) { return a == b; }
inline Vec min_or_second(Vec a, Vec b) { return select(a < b, a, b); }
inline Vec max_or_second(Vec a, Vec b) { return select(a > b, a, b); }
inline Vec absolute(Vec a) {
  return reinterpret_cast<Vec>(reinterpret_cast<Mask>(a) & Mask{INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX});
}
inline Vec root(Vec a) {
  for (int i = 0; i < kWidth; ++i) a[i] = sqrtf(a[i]);
  return a;
}
// Adding 1.5 * 2^23 leaves no bit for a fraction.
inline Vec rounded(Vec a) {
  const Vec magic = set1(12582912.0f);
  return (a + magic) - magic;
}
inline Vec power_of_two(Mask n) { return reinterpret_cast<Vec>((n + 127) << 23); }
// In two factors, so that the ends of the exponent's range are reached.
inline Vec times_power_of_two(Vec a, Vec n) {
  const Mask whole = __builtin_convertvector(n, Mask), half = whole >> 1;
  return a * power_of_two(half) * power_of_two(whole - half);
}
inline Vec exponent_of(Vec a) {
  return __builtin_convertvector((reinterpret_cast<Mask>(absolute(a)) >> 23) - 127, Vec);
}
inline Vec mantissa_of(Vec a) {
  return reinterpret_cast<Vec>((reinterpret_cast<Mask>(a) & 0x007fffff) | 0x3f800000);
}

inline float sum(Vec v) { return (v[0] + v[2]) + (v[1] + v[3]); }
/// Lane i is the sum of v[i].
inline Vec sums(const Vec (&v)[kWidth]) { return Vec{sum(v[0]), sum(v[1]), sum(v[2]), sum(v[3])}; }
inline float largest(Vec v) {
  const float a = v[0] > v[2] ? v[0] : v[2], b = v[1] > v[3] ? v[1] : v[3];
  return a > b ? a : b;
}

}  // namespace
}  // namespace vla_rt
