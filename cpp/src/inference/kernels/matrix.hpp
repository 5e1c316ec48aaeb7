#pragma once
// Packed matrix times rows: linear layers and convolutions. A tile of accumulators (Vectors of outputs by
// Rows) stays in registers while weights stream past once and inputs are broadcast.
#include "inference/kernels.hpp"
#include "inference/kernels/elementwise.hpp"

namespace vla_rt {
namespace {

/// One panel of `Vectors` vectors times `Rows` rows; returns where the next panel starts.
template <int Vectors, int Rows>
inline void matrix_tile(const MatrixArgs& args, const float* weight, int first_output, int first_row) {
  Vec sum[Vectors][Rows];
  for (int v = 0; v < Vectors; ++v)
    for (int r = 0; r < Rows; ++r) sum[v][r] = set1(0.0f);
  const float* const* rows = args.rows + static_cast<std::int64_t>(first_row) * args.taps;
  for (int tap = 0; tap < args.taps; ++tap) {
    const float* x[Rows];
    for (int r = 0; r < Rows; ++r) x[r] = rows[r * args.taps + tap];
    for (int k = 0; k < args.depth; ++k) {
      Vec w[Vectors];
      for (int v = 0; v < Vectors; ++v) w[v] = load(weight + v * kWidth);
      for (int r = 0; r < Rows; ++r) {
        const Vec b = set1(x[r][k]);
        for (int v = 0; v < Vectors; ++v) sum[v][r] = fma(w[v], b, sum[v][r]);
      }
      weight += Vectors * kWidth;
    }
  }
  for (int v = 0; v < Vectors; ++v) {
    const int o = first_output + v * kWidth, n = args.outputs - o < kWidth ? args.outputs - o : kWidth;
    const Vec bias = args.bias == nullptr ? set1(0.0f)
                     : n == kWidth        ? load(args.bias + o)
                                          : load_some(args.bias + o, n);
    for (int r = 0; r < Rows; ++r) {
      float* y = args.output + (first_row + r) * args.output_stride + o;
      if (n == kWidth)
        store(y, add(sum[v][r], bias));
      else
        store_some(y, add(sum[v][r], bias), n);
    }
  }
}

/// All rows of one panel, in tiles as equal as they can be.
template <int Vectors>
inline void matrix_panel(const MatrixArgs& args, const float* weight, int first_output) {
  const int tiles = (args.num_rows + kTallRows - 1) / kTallRows;
  for (int tile = 0; tile < tiles; ++tile) {
    const int begin = tile * args.num_rows / tiles, end = (tile + 1) * args.num_rows / tiles;
    switch (end - begin) {
      case 1:
        matrix_tile<Vectors, 1>(args, weight, first_output, begin);
        break;
      case 2:
        matrix_tile<Vectors, 2>(args, weight, first_output, begin);
        break;
      case 3:
        matrix_tile<Vectors, 3>(args, weight, first_output, begin);
        break;
      case 4:
        matrix_tile<Vectors, 4>(args, weight, first_output, begin);
        break;
      case 5:
        if constexpr (kTallRows >= 5) matrix_tile<Vectors, 5>(args, weight, first_output, begin);
        break;
      default:
        if constexpr (kTallRows >= 6) matrix_tile<Vectors, 6>(args, weight, first_output, begin);
        break;
    }
  }
}

/// The panel that has `vectors` vectors, found at run time among those up to `Most`.
template <int Most>
inline void matrix_panel_of(int vectors, const MatrixArgs& args, const float* weight, int first_output) {
  if constexpr (Most > kTallVectors) {
    if (vectors == Most) return matrix_tile<Most, 1>(args, weight, first_output, 0);
    return matrix_panel_of<Most - 1>(vectors, args, weight, first_output);
  } else if constexpr (Most > 0) {
    if (vectors == Most) return matrix_panel<Most>(args, weight, first_output);
    return matrix_panel_of<Most - 1>(vectors, args, weight, first_output);
  }
}

inline void matrix(const MatrixArgs& args) noexcept {
  const int panel = kWidth * (args.num_rows == 1 ? kWideVectors : kTallVectors);
  const float* weight = args.weight;
  const std::int64_t depth = static_cast<std::int64_t>(args.taps) * args.depth;
  for (int o = 0; o < args.outputs; o += panel) {
    const int rest = args.outputs - o < panel ? args.outputs - o : panel;
    const int vectors = (rest + kWidth - 1) / kWidth;
    matrix_panel_of<kWideVectors>(vectors, args, weight, o);
    weight += depth * vectors * kWidth;
  }
  activate(args.activation, args.output, args.output_stride, args.num_rows, args.outputs);
}

}  // namespace
}  // namespace vla_rt
