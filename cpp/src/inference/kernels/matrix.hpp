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

/// Whether a tile of this size is ever wanted.
constexpr bool is_tile(int vectors, int rows) {
  return vectors * rows <= kAccumulators && (rows == 1 || vectors <= 4);
}

template <int Vectors = 1, int Rows = 1>
constexpr void fill(TileTable& table) {
  if constexpr (is_tile(Vectors, Rows)) table.of[Vectors][Rows] = &matrix_tile<Vectors, Rows>;
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

/// Calls f(first output, vectors of outputs, first row, rows) for every tile, panel after panel; the tiles of
/// a panel have as equal rows as they can.
template <class F>
inline void over_tiles(int num_rows, int outputs, F f) {
  const Tile most = tile_of(num_rows);
  const int panel = kWidth * most.vectors, tiles = (num_rows + most.rows - 1) / most.rows;
  for (int o = 0; o < outputs; o += panel) {
    const int rest = outputs - o < panel ? outputs - o : panel;
    for (int tile = 0; tile < tiles; ++tile) {
      const auto begin = static_cast<int>(std::int64_t{tile} * num_rows / tiles);
      const auto end = static_cast<int>((std::int64_t{tile} + 1) * num_rows / tiles);
      f(o, (rest + kWidth - 1) / kWidth, begin, end - begin);
    }
  }
}

inline void matrix(const MatrixArgs& args) noexcept {
  const std::int64_t depth = static_cast<std::int64_t>(args.taps) * args.depth;
  over_tiles(args.num_rows, args.outputs, [&](int first_output, int vectors, int first_row, int rows) {
    // All panels before this one are whole.
    kTiles.of[vectors][rows](args, args.weight + depth * first_output, first_output, first_row);
  });
  activate(args.activation, args.output, args.output_stride, args.num_rows, args.outputs);
}

}  // namespace
}  // namespace vla_rt
