#pragma once
// Narrow numbers widened: bfloat16 to float, bytes to 16 bits. See narrow.hpp for what these types promise.
#include <string.h>

#include <cstddef>
#include <cstdint>

namespace vla_rt {
namespace {

/// To the nearest bfloat16, half to even; NaN stays one.
inline Vec rounded_to_bf16(Vec v) {
  const Mask bits = reinterpret_cast<Mask>(v), odd = (bits >> 16) & 1;
  const Vec near = reinterpret_cast<Vec>((bits + (odd + 0x7fff)) & -65536);
  return select(equal(v, v), near, v);
}

struct Bf16 {
  using Input = float;
  using Sum = Vec;
  struct Weights {
    Vec even, odd;
  };
  static constexpr int kGroup = 2, kWeightBytes = 2;
  static Sum zero() { return set1(0.0f); }
  static Weights load(const std::byte* p) {
    Mask pairs;
    memcpy(&pairs, p, sizeof pairs);
    return {reinterpret_cast<Vec>(pairs << 16), reinterpret_cast<Vec>(pairs & -65536)};
  }
  static Sum add(Sum s, Weights w, const Input* x) {
    return fma(w.odd, set1(x[1]), fma(w.even, set1(x[0]), s));
  }
  static void put(Input* to, Vec v, int n) { store_some(to, rounded_to_bf16(v), n); }
};

struct Int8 {
  using Input = std::int16_t;
  using Sum = Mask;
  struct Weights {
    Mask even, odd;
  };
  static constexpr int kGroup = 2, kWeightBytes = 1;
  static Sum zero() { return Mask{0, 0, 0, 0}; }
  static Weights load(const std::byte* p) {
    std::int8_t w[8];
    memcpy(w, p, sizeof w);
    return {Mask{w[0], w[2], w[4], w[6]}, Mask{w[1], w[3], w[5], w[7]}};
  }
  static Sum add(Sum s, Weights w, const Input* x) {
    return s + w.even * std::int32_t{x[0]} + w.odd * std::int32_t{x[1]};
  }
  static Vec floats(Sum s) { return __builtin_convertvector(s, Vec); }
  static void put(Input* to, Vec v, int n) {
    for (int i = 0; i < n; ++i) to[i] = static_cast<std::int16_t>(v[i]);
  }
};

}  // namespace
}  // namespace vla_rt
