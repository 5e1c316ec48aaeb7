#pragma once
// Packed matrix times rows: linear layers and convolutions. A tile of accumulators (Vectors of outputs by
// Rows) stays in registers while weights stream past once and inputs are broadcast.
#include "inference/kernels.hpp"
#include "inference/kernels/elementwise.hpp"

namespace vla_rt {
namespace {

/// One panel of `Vectors` vectors times `Rows` rows.
template <int Vectors, int Rows>
void matrix_tile(const MatrixArgs& args, const float* weight, int first_output, int first_row) {
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

using TileFunction = void (*)(const MatrixArgs&, const float*, int, int);
struct TileTable {
  TileFunction of[kMostVectors + 1][kMostRows + 1];  ///< by vectors and rows; null where none is needed
};

template <int Vectors = 1, int Rows = 1>
constexpr void fill(TileTable& table) {
  if constexpr (Vectors * Rows <= kAccumulators && (Rows == 1 || Vectors <= 4))
    table.of[Vectors][Rows] = &matrix_tile<Vectors, Rows>;
  if constexpr (Rows < kMostRows) {
    fill<Vectors, Rows + 1>(table);
  } else if constexpr (Vectors < kMostVectors) {
    fill<Vectors + 1, 1>(table);
  }
}

constexpr TileTable make_tiles() {
  TileTable table{};
  fill(table);
  return table;
}
constexpr TileTable kTiles = make_tiles();

inline int matrix_panel(int num_rows) noexcept { return kWidth * tile_of(num_rows).vectors; }

inline void matrix(const MatrixArgs& args) noexcept {
  const Tile most = tile_of(args.num_rows);
  const int panel = kWidth * most.vectors;
  const int tiles = (args.num_rows + most.rows - 1) / most.rows;  // as equal as they can be
  const std::int64_t depth = static_cast<std::int64_t>(args.taps) * args.depth;
  const float* weight = args.weight;
  for (int o = 0; o < args.outputs; o += panel) {
    const int rest = args.outputs - o < panel ? args.outputs - o : panel;
    const int vectors = (rest + kWidth - 1) / kWidth;
    for (int tile = 0; tile < tiles; ++tile) {
      const auto begin = static_cast<int>(std::int64_t{tile} * args.num_rows / tiles);
      const auto end = static_cast<int>((std::int64_t{tile} + 1) * args.num_rows / tiles);
      kTiles.of[vectors][end - begin](args, weight, o, begin);
    }
    weight += depth * vectors * kWidth;
  }
  activate(args.activation, args.output, args.output_stride, args.num_rows, args.outputs);
}

}  // namespace
}  // namespace vla_rt
