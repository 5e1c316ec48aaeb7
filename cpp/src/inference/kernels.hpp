#pragma once
#include <cstddef>
#include <cstdint>

#include "vla_rt/core/api.hpp"
#include "vla_rt/inference/instruction_set.hpp"

namespace vla_rt {

/// What an elementwise operation computes of 1, 2 or 3 operands. Comparisons answer 1 or 0.
enum class Function : std::uint8_t {
  Copy,
  Relu,
  Gelu,
  GeluTanh,
  Silu,
  Mish,
  Tanh,
  Sigmoid,
  Softplus,
  Exp,
  Log,
  Sqrt,
  Rsqrt,
  Reciprocal,
  Negate,
  Absolute,
  Square,
  Sine,
  Cosine,
  Truncate,
  Not,
  Add,
  Subtract,
  Multiply,
  Divide,
  Maximum,
  Minimum,
  Power,
  Less,
  LessEqual,
  Equal,
  NotEqual,
  Where,  ///< first operand not 0 ? second : third
  kCount
};

/// How the numbers of a matrix are held. Rows that meet bfloat16 weights are rounded to bfloat16, products
/// are summed in float32. Int8 weights have one scale per output; rows that meet them are taken to 0..255 by
/// a scale and a zero of their own, and products are summed in whole numbers. Every instruction set computes
/// the same, up to the order of sums.
enum class WeightType : std::uint8_t { Float32, BFloat16, Int8 };

enum class Reduction : std::uint8_t { Sum, Mean, Maximum, Minimum, kCount };

constexpr int kLoops = 4;  ///< nested loops of an elementwise operation

struct ElementwiseArgs {
  Function function;
  int num_inputs;
  std::int64_t extent[kLoops];  ///< outermost first
  const float* input[3];
  std::int64_t input_stride[3][kLoops];
  float* output;
  std::int64_t output_stride[kLoops];
};

/// out[r][o] = f(bias[o] + sum over taps and k of weight[tap][o][k] * rows[r][tap][k]).
struct MatrixArgs {
  const float* weight;       ///< packed by `pack_matrix`
  const float* bias;         ///< [outputs], or null
  const float* const* rows;  ///< [num_rows][taps]: where each row of the input starts
  float* output;
  std::int64_t output_stride;  ///< between rows
  int num_rows, taps, depth, outputs;
  Function activation;  ///< of one operand
};

/// Rows taken to the numbers that a narrow matrix multiplies.
struct RoundArgs {
  WeightType type;              ///< of the matrix: BFloat16 or Int8
  const float* const* sources;  ///< [num_rows]
  int num_rows, depth;
  std::byte* output;  ///< rows of `narrow_row_size` bytes
  float* factors;     ///< of Int8, [num_rows][2]: scale and zero
};

/// As MatrixArgs, of bfloat16 or int8 weights and rows rounded before.
struct NarrowMatrixArgs {
  WeightType type;
  const std::byte* weight;   ///< packed by `pack_narrow`
  const float* bias;         ///< [outputs], or null
  const float* scale;        ///< [outputs], of Int8
  const std::byte* input;    ///< what RoundArgs wrote
  const float* factors;      ///< of Int8
  const std::int32_t* rows;  ///< [num_rows][taps]: which of the rounded rows
  float* output;
  std::int64_t output_stride;  ///< between rows
  int num_rows, taps, depth, outputs;
  Function activation;
};

/// Rows of `length` neighbours each.
struct RowsArgs {
  const float* input;
  std::int64_t input_stride;
  float* output;
  std::int64_t output_stride;
  int num_rows, length;
  const float* weight;  ///< [length] or null (layer norm)
  const float* bias;
  float epsilon;
  Reduction reduction;
};

/// Rows are times, neighbours are channels; groups of channels are normalised over all times. Then, each
/// where present: times weight plus bias, times scale plus shift (a FiLM layer), activation, plus
/// residual.
struct GroupNormArgs {
  const float* input;
  std::int64_t input_stride;
  float* output;
  std::int64_t output_stride;
  int num_rows, channels, groups;
  const float* weight;
  const float* bias;
  const float* scale;
  const float* shift;
  const float* residual;
  std::int64_t residual_stride;
  float epsilon;
  Function activation;
  float* scratch;  ///< [2][channels]
};

constexpr int kQueryBlock = 4;  ///< queries that attention takes at once

/// out[h][q] = sum over k of softmax(scale * query . key + mask) * value, for every head.
struct AttentionArgs {
  const float *query, *key, *value, *mask;  ///< mask may be null
  float* output;
  std::int64_t query_stride[2], key_stride[2], value_stride[2], output_stride[2];  ///< head, row
  std::int64_t mask_stride[3];                                                     ///< head, query, key
  int heads, queries, keys, depth, value_depth;
  float scale;
  bool causal;    ///< query q sees keys 0..q
  float* scores;  ///< scratch [kQueryBlock][keys]
};

/// out[b][m][n] = sum over k of a[b][m][k] * b[b][k][n].
struct ProductArgs {
  const float *a, *b;
  float* output;
  std::int64_t a_stride[3], b_stride[2], output_stride[2];  ///< batch, row (, column of a)
  int batch, rows, depth, columns;
};

/// out[r] = table[index[r]]; an index outside is taken to the nearest row.
struct GatherArgs {
  const float* table;
  const float* index;
  float* output;
  std::int64_t table_stride, index_stride, output_stride;
  int num_rows, table_rows, length;
};

/// table[block][index] = input[block]; an index outside is taken to the nearest row.
struct ScatterArgs {
  const float* input;
  const float* index;
  float* table;
  std::int64_t input_stride, block_stride, table_stride;  ///< between blocks, blocks, rows
  int blocks, table_rows, length;
};

/// The operations as one instruction set computes them. Every kernel is bounded by its sizes alone, allocates
/// nothing and reads no more than its operands.
struct Kernels {
  /// How neighbours along the depth are packed, and the bytes of each in a rounded row.
  struct Narrow {
    int group, input_bytes;
  };
  int width;                            ///< floats of a vector
  int (*panel)(int num_rows) noexcept;  ///< outputs per panel of a packed matrix
  Narrow bfloat16, int8;
  void (*elementwise)(const ElementwiseArgs&) noexcept;
  void (*matrix)(const MatrixArgs&) noexcept;
  void (*round_rows)(const RoundArgs&) noexcept;
  void (*narrow_matrix)(const NarrowMatrixArgs&) noexcept;
  void (*layer_norm)(const RowsArgs&) noexcept;
  void (*softmax)(const RowsArgs&) noexcept;
  void (*reduce)(const RowsArgs&) noexcept;
  void (*group_norm)(const GroupNormArgs&) noexcept;
  void (*attention)(const AttentionArgs&) noexcept;
  void (*product)(const ProductArgs&) noexcept;
  void (*gather)(const GatherArgs&) noexcept;
  void (*scatter)(const ScatterArgs&) noexcept;
};

/// Those of an instruction set, or null where this library was built without it. Exported for the tests.
[[nodiscard]] VLA_RT_API const Kernels* kernels(InstructionSet set) noexcept;

[[nodiscard]] const Kernels* portable_kernels() noexcept;
[[nodiscard]] const Kernels* avx2_kernels() noexcept;
[[nodiscard]] const Kernels* avx512_kernels() noexcept;
[[nodiscard]] const Kernels* avx512_bf16_kernels() noexcept;

/// Floats that a matrix takes when packed in panels.
[[nodiscard]] VLA_RT_API std::size_t packed_size(const Kernels& kernels, int num_rows, int taps, int depth,
                                                 int outputs) noexcept;
/// Packs a matrix for `Kernels::matrix` with `num_rows` rows: panels of outputs, within a panel [tap][depth]
/// [output], the last panel padded to whole vectors. Element (output, tap, k) is weight[o * stride[0] + tap *
/// stride[1] + k * stride[2]].
VLA_RT_API void pack_matrix(const Kernels& kernels, int num_rows, int taps, int depth, int outputs,
                            const float* weight, const std::int64_t (&stride)[3], float* packed) noexcept;

/// How a kernel table holds narrow numbers.
[[nodiscard]] constexpr const Kernels::Narrow& narrow_format(const Kernels& kernels,
                                                             WeightType type) noexcept {
  return type == WeightType::Int8 ? kernels.int8 : kernels.bfloat16;
}
/// Bytes of one rounded row.
[[nodiscard]] constexpr std::size_t narrow_row_size(const Kernels& kernels, WeightType type,
                                                    int depth) noexcept {
  const Kernels::Narrow& format = narrow_format(kernels, type);
  const int padded = (depth + format.group - 1) / format.group * format.group;
  return (static_cast<std::size_t>(padded) * static_cast<std::size_t>(format.input_bytes) + 63) / 64 * 64;
}
/// Bytes that a narrow matrix takes when packed.
[[nodiscard]] VLA_RT_API std::size_t packed_narrow_size(const Kernels& kernels, WeightType type, int num_rows,
                                                        int taps, int depth, int outputs) noexcept;
/// Packs a matrix of bfloat16 (as its 16 bits) or int8 for `Kernels::narrow_matrix`: panels of outputs,
/// within a panel [tap][depth / group][output][group], and after each tap of int8 the outputs' sums over the
/// depth as floats. Strides as for `pack_matrix`.
VLA_RT_API void pack_narrow(const Kernels& kernels, WeightType type, int num_rows, int taps, int depth,
                            int outputs, const void* weight, const std::int64_t (&stride)[3],
                            std::byte* packed) noexcept;

}  // namespace vla_rt
