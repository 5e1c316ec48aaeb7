#pragma once
// Packed matrix times rows: linear layers and convolutions. A tile of accumulators (Vectors of outputs by
// Rows) stays in registers while weights stream past once and inputs are broadcast.
#include "inference/kernels.hpp"
#include "inference/kernels/elementwise.hpp"

namespace vla_rt {
namespace {

/// The weights that a tile asks for while it computes: those of the next panel, each tile its share, so that
/// memory is read all the time and not only while the first rows of a panel wait for it.
struct Ahead {
  static constexpr int kRun = 8;  ///< numbers of the depth (or groups of them) between two requests
  static constexpr std::int64_t kLine = 64;
  static constexpr std::int64_t kNear = 8 << 10;   ///< how far, where a panel is passed once
  static constexpr std::int64_t kFar = 384 << 10;  ///< largest panel that the second-level cache holds twice

  const char* at = nullptr;
  int lines = 0;  ///< per run

  /// For tile `tile` of `tiles` of a panel whose weights take `bytes`, `step` of them for each of the depth.
  /// One row alone is as fast as its weights come, from wherever.
  Ahead(const std::byte* weight, std::int64_t bytes, std::int64_t step, int num_rows, int tile, int tiles) {
    if (num_rows == 1 || (tiles > 1 && bytes > kFar)) return;
    const std::int64_t per_run = kRun * step, runs = (bytes + per_run - 1) / per_run;
    lines = static_cast<int>((per_run + kLine * tiles - 1) / (kLine * tiles));
    const std::int64_t distance = tiles == 1 && bytes > kNear ? kNear : bytes + tile * runs * lines * kLine;
    // Behind the end of all weights there is nothing to read, and nothing is.
    at = reinterpret_cast<const char*>(
        reinterpret_cast<std::uintptr_t>(weight) +  // NOLINT(performance-no-int-to-ptr)
        static_cast<std::uintptr_t>(distance));
  }
  /// At number k of `depth`: asks, where there are several rows, and says where the run ends.
  template <int Rows>
  int ask(int k, int depth) noexcept {
    if constexpr (Rows == 1) return depth;
    for (int i = 0; i < lines; ++i) __builtin_prefetch(at + i * kLine, 0, 2);
    at += lines * kLine;
    return depth - k < kRun ? depth : k + kRun;
  }
};

/// One panel of `Vectors` vectors times `Rows` rows.
template <int Vectors, int Rows>
void matrix_tile(const MatrixArgs& args, const float* weight, int first_output, int first_row, Ahead ahead) {
  Vec sum[Vectors][Rows];
  for (int v = 0; v < Vectors; ++v)
    for (int r = 0; r < Rows; ++r) sum[v][r] = set1(0.0f);
  const float* const* rows = args.rows + static_cast<std::int64_t>(first_row) * args.taps;
  for (int tap = 0; tap < args.taps; ++tap) {
    const float* x[Rows];
    for (int r = 0; r < Rows; ++r) x[r] = rows[r * args.taps + tap];
    for (int k = 0; k < args.depth;) {
      const int end = ahead.ask<Rows>(k, args.depth);
      for (; k < end; ++k) {
        Vec w[Vectors];
        for (int v = 0; v < Vectors; ++v) w[v] = load(weight + v * kWidth);
        for (int r = 0; r < Rows; ++r) {
          const Vec b = set1(x[r][k]);
          for (int v = 0; v < Vectors; ++v) sum[v][r] = fma(w[v], b, sum[v][r]);
        }
        weight += Vectors * kWidth;
      }
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

using TileFunction = void (*)(const MatrixArgs&, const float*, int, int, Ahead);
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

/// Calls f(weights, first output, vectors of outputs, first row, rows, ahead) for every tile, panel after
/// panel; the tiles of a panel have as equal rows as they can. Weights take `per_output` bytes for each
/// output, `step` for each vector of outputs and number (or group) of the depth.
template <class F>
inline void over_tiles(int num_rows, int outputs, const void* weight, std::int64_t per_output,
                       std::int64_t step, F f) {
  const Tile most = tile_of(num_rows);
  const int panel = kWidth * most.vectors, tiles = (num_rows + most.rows - 1) / most.rows;
  for (int o = 0; o < outputs; o += panel) {
    const int rest = outputs - o < panel ? outputs - o : panel, vectors = (rest + kWidth - 1) / kWidth;
    const std::byte* of_panel = static_cast<const std::byte*>(weight) + per_output * o;
    for (int tile = 0; tile < tiles; ++tile) {
      const auto begin = static_cast<int>(std::int64_t{tile} * num_rows / tiles);
      const auto end = static_cast<int>((std::int64_t{tile} + 1) * num_rows / tiles);
      f(of_panel, o, vectors, begin, end - begin,
        Ahead(of_panel, per_output * kWidth * vectors, step * vectors, num_rows, tile, tiles));
    }
  }
}

inline void matrix(const MatrixArgs& args) noexcept {
  constexpr std::int64_t kNumber = sizeof(float);
  const std::int64_t per_output = kNumber * args.taps * args.depth;
  over_tiles(
      args.num_rows, args.outputs, args.weight, per_output, kNumber * kWidth,
      [&](const std::byte* weight, int first_output, int vectors, int first_row, int rows, Ahead ahead) {
        kTiles.of[vectors][rows](args, reinterpret_cast<const float*>(weight), first_output, first_row,
                                 ahead);
      });
  activate(args.activation, args.output, args.output_stride, args.num_rows, args.outputs);
}

}  // namespace
}  // namespace vla_rt
