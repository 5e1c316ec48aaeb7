#pragma once
// Packed matrices of bfloat16 and int8 times rows rounded before: see WeightType for what is computed.
//
// The types Bf16 and Int8 of a narrow_<set>.hpp say how an instruction set does it: `Input`, a number of a
// rounded row; `kGroup`, how many neighbours along the depth one packed vector of weights holds for each of
// its outputs; `put`, which rounds the first n lanes to inputs (Int8: whole numbers already); `add`, sums
// plus the products of one vector of weights with the kGroup inputs at x.
#include "inference/kernels.hpp"
#include "inference/kernels/elementwise.hpp"
#include "inference/kernels/matrix.hpp"
#include "inference/kernels/rows.hpp"

namespace vla_rt {
namespace {

template <class Number>
constexpr int groups_of(int depth) {
  return (depth + Number::kGroup - 1) / Number::kGroup;
}
template <class Number>
constexpr std::int64_t rounded_row_size(int depth) {
  return (static_cast<std::int64_t>(groups_of<Number>(depth)) * Number::kGroup *
              static_cast<std::int64_t>(sizeof(typename Number::Input)) +
          63) /
         64 * 64;
}

template <class Number>
inline void end_row(typename Number::Input* row, int depth) {  // what fills up the last group
  for (int i = depth; i < groups_of<Number>(depth) * Number::kGroup; ++i) row[i] = {};
}

inline void round_to_bf16(const float* x, int depth, Bf16::Input* to) {
  over(depth, [&](int i, int m) { Bf16::put(to + i, part(x + i, m), m); });
  end_row<Bf16>(to, depth);
}

/// x is about factors[0] * (to - factors[1]) with `to` in 0..255; a row with NaN or infinity has NaN for a
/// scale.
inline void round_to_bytes(const float* x, int depth, Int8::Input* to, float* factors) {
  Vec low = set1(0.0f), high = low, finite = low;
  over(depth, [&](int i, int m) {
    const Vec v = part(x + i, m);  // lanes left out are 0
    low = min_or_second(v, low);
    high = max_or_second(v, high);
    finite = fma(v, set1(0.0f), finite);
  });
  const float least = -largest(sub(set1(0.0f), low)), range = largest(high) - least;
  const float inverse = range > 1e-30f ? 255.0f / range : 0.0f;
  const Vec zero = rounded(set1(-least * inverse));
  over(depth, [&](int i, int m) {
    const Vec v = rounded(fma(part(x + i, m), set1(inverse), zero));
    Int8::put(to + i, min_or_second(max_or_second(v, set1(0.0f)), set1(255.0f)), m);
  });
  end_row<Int8>(to, depth);
  float first[kWidth];
  store(first, zero);
  factors[0] = range * (1.0f / 255.0f) + sum(finite);
  factors[1] = first[0];
}

inline void round_rows(const RoundArgs& args) noexcept {
  const bool bytes = args.type == WeightType::Int8;
  const std::int64_t size = bytes ? rounded_row_size<Int8>(args.depth) : rounded_row_size<Bf16>(args.depth);
  for (int r = 0; r < args.num_rows; ++r) {
    std::byte* to = args.output + r * size;
    if (bytes)
      round_to_bytes(args.sources[r], args.depth, reinterpret_cast<Int8::Input*>(to), args.factors + 2 * r);
    else
      round_to_bf16(args.sources[r], args.depth, reinterpret_cast<Bf16::Input*>(to));
  }
}

/// Sums over one tap.
template <class Number, int Vectors, int Rows>
inline const std::byte* add_tap(const std::byte* weight, const typename Number::Input* const (&x)[Rows],
                                int groups, typename Number::Sum (&sum)[Vectors][Rows], Ahead& ahead) {
  constexpr int kBytes = kWidth * Number::kGroup * Number::kWeightBytes;
  for (int k = 0; k < groups;) {
    const int end = ahead.ask<Rows>(k, groups);
    for (; k < end; ++k) {
      typename Number::Weights w[Vectors];
      for (int v = 0; v < Vectors; ++v) w[v] = Number::load(weight + v * kBytes);
      for (int r = 0; r < Rows; ++r)
        for (int v = 0; v < Vectors; ++v) sum[v][r] = Number::add(sum[v][r], w[v], x[r] + k * Number::kGroup);
      weight += Vectors * kBytes;
    }
  }
  return weight;
}

template <int Vectors, int Rows>
inline void finish_tile(const NarrowMatrixArgs& args, int first_output, int first_row,
                        const Vec (&sum)[Vectors][Rows]) {
  for (int v = 0; v < Vectors; ++v) {
    const int o = first_output + v * kWidth, n = args.outputs - o < kWidth ? args.outputs - o : kWidth;
    const Vec bias = args.bias == nullptr ? set1(0.0f) : part(args.bias + o, n);
    const Vec scale = args.scale == nullptr ? set1(1.0f) : part(args.scale + o, n);
    for (int r = 0; r < Rows; ++r)
      put(args.output + (first_row + r) * args.output_stride + o, fma(sum[v][r], scale, bias), n);
  }
}

template <class Number, int Vectors, int Rows>
void narrow_tile(const NarrowMatrixArgs& args, const std::byte* weight, int first_output, int first_row,
                 Ahead ahead) {
  constexpr bool kBytes = Number::kWeightBytes == 1;
  const int groups = groups_of<Number>(args.depth);
  const std::int64_t size = rounded_row_size<Number>(args.depth);
  const std::int32_t* rows = args.rows + static_cast<std::int64_t>(first_row) * args.taps;
  Vec total[Vectors][Rows];
  for (int v = 0; v < Vectors; ++v)
    for (int r = 0; r < Rows; ++r) total[v][r] = set1(0.0f);
  for (int tap = 0; tap < args.taps; ++tap) {
    const typename Number::Input* x[Rows];
    for (int r = 0; r < Rows; ++r)
      x[r] = reinterpret_cast<const typename Number::Input*>(args.input + rows[r * args.taps + tap] * size);
    if constexpr (kBytes) {
      typename Number::Sum sum[Vectors][Rows];
      for (int v = 0; v < Vectors; ++v)
        for (int r = 0; r < Rows; ++r) sum[v][r] = Number::zero();
      weight = add_tap<Number, Vectors, Rows>(weight, x, groups, sum, ahead);
      const auto* whole = reinterpret_cast<const float*>(weight);  // the weights' sums
      for (int r = 0; r < Rows; ++r) {
        const float* factors = args.factors + 2 * rows[r * args.taps + tap];
        for (int v = 0; v < Vectors; ++v) {
          const Vec centred = sub(Number::floats(sum[v][r]), mul(set1(factors[1]), load(whole + v * kWidth)));
          total[v][r] = fma(centred, set1(factors[0]), total[v][r]);
        }
      }
      weight += Vectors * kWidth * static_cast<int>(sizeof(float));
    } else {
      weight = add_tap<Number, Vectors, Rows>(weight, x, groups, total, ahead);
    }
  }
  finish_tile<Vectors, Rows>(args, first_output, first_row, total);
}

using NarrowTile = void (*)(const NarrowMatrixArgs&, const std::byte*, int, int, Ahead);
struct NarrowTileTable {
  NarrowTile of[kMostVectors + 1][kMostRows + 1];
};

template <class Number, int Vectors = 1, int Rows = 1>
constexpr void fill_narrow(NarrowTileTable& table) {
  if constexpr (is_tile(Vectors, Rows)) table.of[Vectors][Rows] = &narrow_tile<Number, Vectors, Rows>;
  if constexpr (Rows < kMostRows) {
    fill_narrow<Number, Vectors, Rows + 1>(table);
  } else if constexpr (Vectors < kMostVectors) {
    fill_narrow<Number, Vectors + 1, 1>(table);
  }
}

template <class Number>
constexpr NarrowTileTable make_narrow_tiles() {
  NarrowTileTable table{};
  fill_narrow<Number>(table);
  return table;
}
template <class Number>
constexpr NarrowTileTable kNarrowTiles = make_narrow_tiles<Number>();

template <class Number>
inline void narrow_panels(const NarrowMatrixArgs& args) {
  const std::int64_t per_output =
      args.taps * (std::int64_t{groups_of<Number>(args.depth)} * Number::kGroup * Number::kWeightBytes +
                   (Number::kWeightBytes == 1 ? static_cast<std::int64_t>(sizeof(float)) : 0));
  constexpr std::int64_t kStep = std::int64_t{kWidth} * Number::kGroup * Number::kWeightBytes;
  over_tiles(
      args.num_rows, args.outputs, args.weight, per_output, kStep,
      [&](const std::byte* weight, int first_output, int vectors, int first_row, int rows, Ahead ahead) {
        kNarrowTiles<Number>.of[vectors][rows](args, weight, first_output, first_row, ahead);
      });
}

inline void narrow_matrix(const NarrowMatrixArgs& args) noexcept {
  if (args.type == WeightType::Int8)
    narrow_panels<Int8>(args);
  else
    narrow_panels<Bf16>(args);
  activate(args.activation, args.output, args.output_stride, args.num_rows, args.outputs);
}

}  // namespace
}  // namespace vla_rt
