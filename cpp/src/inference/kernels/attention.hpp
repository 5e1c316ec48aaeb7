#pragma once
// Products of two values that are both computed: attention and matrix products.
#include "inference/kernels.hpp"
#include "inference/kernels/rows.hpp"

namespace vla_rt {
namespace {

inline float dot(const float* a, const float* b, int n) {
  Vec s = set1(0.0f);
  over(n, [&](int i, int m) { s = fma(part(a + i, m), part(b + i, m), s); });
  return sum(s);
}

/// out[c] = sum over k of a[k * a_stride] * b[k][c]
inline void weighted_rows(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                          int depth, int columns, float factor, float* out) {
  constexpr int kBlock = 4;
  int c = 0;
  for (; c + kBlock * kWidth <= columns; c += kBlock * kWidth) {
    Vec s[kBlock] = {set1(0.0f), set1(0.0f), set1(0.0f), set1(0.0f)};
    for (int k = 0; k < depth; ++k) {
      const Vec w = set1(a[k * a_stride]);
      for (int j = 0; j < kBlock; ++j) s[j] = fma(w, load(b + k * b_stride + c + j * kWidth), s[j]);
    }
    for (int j = 0; j < kBlock; ++j) store(out + c + j * kWidth, mul(s[j], set1(factor)));
  }
  over(columns - c, [&](int i, int m) {
    Vec s = set1(0.0f);
    for (int k = 0; k < depth; ++k) s = fma(set1(a[k * a_stride]), part(b + k * b_stride + c + i, m), s);
    put(out + c + i, mul(s, set1(factor)), m);
  });
}

inline void attention(const AttentionArgs& args) noexcept {
  for (int h = 0; h < args.heads; ++h)
    for (int q = 0; q < args.queries; ++q) {
      const float* query = args.query + h * args.query_stride[0] + q * args.query_stride[1];
      const float* key = args.key + h * args.key_stride[0];
      const int keys = args.causal && q + 1 < args.keys ? q + 1 : args.keys;
      for (int k = 0; k < keys; ++k)
        args.scores[k] = dot(query, key + k * args.key_stride[1], args.depth) * args.scale;
      if (args.mask != nullptr) {
        const float* mask = args.mask + h * args.mask_stride[0] + q * args.mask_stride[1];
        for (int k = 0; k < keys; ++k) args.scores[k] += mask[k * args.mask_stride[2]];
      }
      const float total = exponentials(args.scores, args.scores, keys);
      weighted_rows(args.scores, 1, args.value + h * args.value_stride[0], args.value_stride[1], keys,
                    args.value_depth, 1.0f / total,
                    args.output + h * args.output_stride[0] + q * args.output_stride[1]);
    }
}

inline void product(const ProductArgs& args) noexcept {
  for (int b = 0; b < args.batch; ++b)
    for (int r = 0; r < args.rows; ++r)
      weighted_rows(args.a + b * args.a_stride[0] + r * args.a_stride[1], args.a_stride[2],
                    args.b + b * args.b_stride[0], args.b_stride[1], args.depth, args.columns, 1.0f,
                    args.output + b * args.output_stride[0] + r * args.output_stride[1]);
}

}  // namespace
}  // namespace vla_rt
