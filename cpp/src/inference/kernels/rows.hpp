#pragma once
// Kernels over rows of neighbours: norms, softmax, reductions, rows taken from and put into tables.
#include "inference/kernels.hpp"
#include "inference/kernels/elementwise.hpp"

namespace vla_rt {
namespace {

/// Calls f(offset, count) for whole vectors and what is left.
template <class F>
inline void over(int n, F f) {
  int i = 0;
  for (; i + kWidth <= n; i += kWidth) f(i, kWidth);
  if (i < n) f(i, n - i);
}
inline Vec part(const float* p, int n) { return n == kWidth ? load(p) : load_some(p, n); }
inline void put(float* p, Vec v, int n) {
  if (n == kWidth)
    store(p, v);
  else
    store_some(p, v, n);
}

inline float sum_of(const float* x, int n) {
  Vec s = set1(0.0f);
  over(n, [&](int i, int m) { s = add(s, part(x + i, m)); });
  return sum(s);
}
inline float squares_around(const float* x, int n, float mean) {
  Vec s = set1(0.0f);
  over(n, [&](int i, int m) {
    const Vec d = keep_some(sub(part(x + i, m), set1(mean)), set1(0.0f), m);
    s = fma(d, d, s);
  });
  return sum(s);
}
inline float largest_of(const float* x, int n) {
  Vec s = set1(*x);
  over(n, [&](int i, int m) { s = max_or_second(s, keep_some(part(x + i, m), s, m)); });
  return largest(s);
}

inline void layer_norm(const RowsArgs& args) noexcept {
  const int n = args.length;
  const float count = static_cast<float>(n);
  for (int r = 0; r < args.num_rows; ++r) {
    const float* x = args.input + r * args.input_stride;
    float* y = args.output + r * args.output_stride;
    const float mean = sum_of(x, n) / count;
    const Vec scale = set1(1.0f / sqrtf(squares_around(x, n, mean) / count + args.epsilon));
    over(n, [&](int i, int m) {
      Vec v = mul(sub(part(x + i, m), set1(mean)), scale);
      if (args.weight != nullptr) v = mul(v, part(args.weight + i, m));
      if (args.bias != nullptr) v = add(v, part(args.bias + i, m));
      put(y + i, v, m);
    });
  }
}

/// exp(x - largest) over one row, and its sum.
inline float exponentials(const float* x, float* y, int n) {
  const Vec top = set1(largest_of(x, n));
  Vec s = set1(0.0f);
  over(n, [&](int i, int m) {
    const Vec e = keep_some(exponential(sub(part(x + i, m), top)), set1(0.0f), m);
    s = add(s, e);
    put(y + i, e, m);
  });
  return sum(s);
}

inline void softmax(const RowsArgs& args) noexcept {
  for (int r = 0; r < args.num_rows; ++r) {
    float* y = args.output + r * args.output_stride;
    const Vec scale = set1(1.0f / exponentials(args.input + r * args.input_stride, y, args.length));
    over(args.length, [&](int i, int m) { put(y + i, mul(part(y + i, m), scale), m); });
  }
}

inline void reduce(const RowsArgs& args) noexcept {
  const int n = args.length;
  for (int r = 0; r < args.num_rows; ++r) {
    const float* x = args.input + r * args.input_stride;
    float result = 0.0f;
    if (args.reduction == Reduction::Sum || args.reduction == Reduction::Mean) {
      result = sum_of(x, n);
      if (args.reduction == Reduction::Mean) result /= static_cast<float>(n);
    } else {
      result = x[0];
      for (int i = 1; i < n; ++i) {
        const bool better = args.reduction == Reduction::Maximum ? x[i] > result : x[i] < result;
        result = better || x[i] != x[i] ? x[i] : result;  // NOLINT(misc-redundant-expression): NaN
      }
    }
    args.output[r * args.output_stride] = result;
  }
}

inline void group_norm(const GroupNormArgs& args) noexcept {
  const int width = args.channels / args.groups;
  const float count = static_cast<float>(width) * static_cast<float>(args.num_rows);
  float *gain = args.scratch, *offset = args.scratch + args.channels;  // y = x * gain + offset
  for (int g = 0; g < args.groups; ++g) {
    const int c = g * width;
    const float* x = args.input + c;
    float total = 0.0f, squares = 0.0f;
    for (int r = 0; r < args.num_rows; ++r) total += sum_of(x + r * args.input_stride, width);
    const float mean = total / count;
    for (int r = 0; r < args.num_rows; ++r) squares += squares_around(x + r * args.input_stride, width, mean);
    const Vec scale = set1(1.0f / sqrtf(squares / count + args.epsilon));
    over(width, [&](int i, int m) {
      Vec a = scale;
      if (args.weight != nullptr) a = mul(a, part(args.weight + c + i, m));
      Vec b = mul(set1(-mean), a);
      if (args.bias != nullptr) b = add(b, part(args.bias + c + i, m));
      if (args.scale != nullptr) {
        const Vec film = part(args.scale + c + i, m);
        a = mul(a, film);
        b = mul(b, film);
      }
      if (args.shift != nullptr) b = add(b, part(args.shift + c + i, m));
      put(gain + c + i, a, m);
      put(offset + c + i, b, m);
    });
  }
  with_function(args.activation, [&](auto f) {
    for (int r = 0; r < args.num_rows; ++r) {
      const float* x = args.input + r * args.input_stride;
      float* y = args.output + r * args.output_stride;
      const float* residual = args.residual == nullptr ? nullptr : args.residual + r * args.residual_stride;
      over(args.channels, [&](int i, int m) {
        const Vec v = fma(part(x + i, m), part(gain + i, m), part(offset + i, m));
        const Vec activated = f(v, v, v);
        put(y + i, residual == nullptr ? activated : add(activated, part(residual + i, m)), m);
      });
    }
  });
}

inline int row_of(float index, int rows) {  // NaN is row 0
  if (!(index > 0.0f)) return 0;
  return index >= static_cast<float>(rows) ? rows - 1 : static_cast<int>(index);
}

inline void gather(const GatherArgs& args) noexcept {
  for (int r = 0; r < args.num_rows; ++r) {
    const int row = row_of(args.index[r * args.index_stride], args.table_rows);
    const float* from = args.table + row * args.table_stride;
    float* to = args.output + r * args.output_stride;
    over(args.length, [&](int i, int m) { put(to + i, part(from + i, m), m); });
  }
}

inline void scatter(const ScatterArgs& args) noexcept {
  const int row = row_of(*args.index, args.table_rows);
  for (int b = 0; b < args.blocks; ++b) {
    const float* from = args.input + b * args.input_stride;
    float* to = args.table + b * args.block_stride + row * args.table_stride;
    over(args.length, [&](int i, int m) { put(to + i, part(from + i, m), m); });
  }
}

}  // namespace
}  // namespace vla_rt
