#pragma once
// Products of two values that are both computed: attention and matrix products.
#include <type_traits>

#include "inference/kernels.hpp"
#include "inference/kernels/rows.hpp"

namespace vla_rt {
namespace {

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

/// scores[i] = query . key i, for `keys` of them.
inline void dots(const float* query, const float* key, std::int64_t key_stride, int keys, int depth,
                 float* scores) {
  constexpr int kNear = 4;  // keys addressed from one pointer
  over(keys, [&](int first, int count) {
    Vec products[kWidth];
    for (int i = 0; i < kWidth; ++i) products[i] = set1(0.0f);
    const float* row = key + first * key_stride;
    if (count == kWidth) {
      over(depth, [&](int d, int m) {
        const Vec q = part(query + d, m);
        const float* near = row + d;
        for (int i = 0; i < kWidth; i += kNear) {
          for (int j = 0; j < kNear; ++j)
            products[i + j] = fma(q, part(near + j * key_stride, m), products[i + j]);
          near += kNear * key_stride;
        }
      });
    } else {
      for (int i = 0; i < count; ++i)
        over(depth, [&](int d, int m) {
          products[i] = fma(part(query + d, m), part(row + i * key_stride + d, m), products[i]);
        });
    }
    put(scores + first, sums(products), count);
  });
}

/// Turns the scores of one query into exponentials; returns one over their sum.
inline float weights_of(const AttentionArgs& args, int head, int query, int seen, float* scores) {
  over(seen, [&](int i, int m) { put(scores + i, mul(part(scores + i, m), set1(args.scale)), m); });
  if (args.mask != nullptr) {
    const float* mask = args.mask + head * args.mask_stride[0] + query * args.mask_stride[1];
    for (int k = 0; k < seen; ++k) scores[k] += mask[k * args.mask_stride[2]];
  }
  return 1.0f / exponentials(scores, scores, seen);
}

/// Rows of values weighted by each of `Queries` rows of scores.
template <int Queries>
inline void mixed_values(const AttentionArgs& args, int head, int first_query, int keys, const float* scores,
                         const float (&factor)[Queries]) {
  constexpr int kVectors = kAccumulators / Queries < 4 ? kAccumulators / Queries : 4;
  const float* value = args.value + head * args.value_stride[0];
  const auto columns = [&](int c, auto load_row, auto write, auto vectors) {
    constexpr int kCount = decltype(vectors)::value;
    Vec sum[Queries][kCount];
    for (int q = 0; q < Queries; ++q)
      for (int v = 0; v < kCount; ++v) sum[q][v] = set1(0.0f);
    for (int k = 0; k < keys; ++k) {
      const float* row = value + k * args.value_stride[1] + c;
      for (int v = 0; v < kCount; ++v) {
        const Vec r = load_row(row + v * kWidth);
        for (int q = 0; q < Queries; ++q)
          sum[q][v] = fma(set1(scores[q * std::int64_t{args.keys} + k]), r, sum[q][v]);
      }
    }
    for (int q = 0; q < Queries; ++q) {
      float* out = args.output + head * args.output_stride[0] + (first_query + q) * args.output_stride[1] + c;
      for (int v = 0; v < kCount; ++v) write(out + v * kWidth, mul(sum[q][v], set1(factor[q])));
    }
  };
  int c = 0;
  for (; c + kVectors * kWidth <= args.value_depth; c += kVectors * kWidth)
    columns(c, load, store, std::integral_constant<int, kVectors>());
  over(args.value_depth - c, [&](int i, int m) {
    columns(
        c + i, [m](const float* p) { return part(p, m); }, [m](float* p, Vec v) { put(p, v, m); },
        std::integral_constant<int, 1>());
  });
}

template <int Queries>
inline void attend(const AttentionArgs& args, int head, int first_query) {
  const int last = first_query + Queries;
  const int keys = args.causal && last < args.keys ? last : args.keys;  // of the last query
  const float* key = args.key + head * args.key_stride[0];
  float factor[Queries];
  for (int q = 0; q < Queries; ++q) {
    const int query = first_query + q, seen = args.causal && query + 1 < keys ? query + 1 : keys;
    float* scores = args.scores + q * std::int64_t{args.keys};
    dots(args.query + head * args.query_stride[0] + query * args.query_stride[1], key, args.key_stride[1],
         seen, args.depth, scores);
    factor[q] = weights_of(args, head, query, seen, scores);
    for (int k = seen; k < keys; ++k) scores[k] = 0.0f;
  }
  mixed_values<Queries>(args, head, first_query, keys, args.scores, factor);
}

inline void attention(const AttentionArgs& args) noexcept {
  static_assert(kQueryBlock == 4);
  for (int h = 0; h < args.heads; ++h) {
    int q = 0;
    for (; q + 4 <= args.queries; q += 4) attend<4>(args, h, q);
    for (; q < args.queries; ++q) attend<1>(args, h, q);
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
