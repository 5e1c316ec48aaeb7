// Every operation but the matrices.
#include <algorithm>
#include <array>

#include "inference/binder.hpp"
#include "inference/function_names.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::array kReductions = {std::pair("sum", Reduction::Sum), std::pair("mean", Reduction::Mean),
                                    std::pair("maximum", Reduction::Maximum),
                                    std::pair("minimum", Reduction::Minimum)};

/// (heads, rows, columns) with dense columns.
void require_matrix(const Operand& operand) {
  operand.require_rank(3);
  for (const std::int64_t extent : operand.shape())
    if (extent > INT32_MAX) operand.fail("is too large");
  if (operand.shape()[2] > 1 && operand.stride(2) != 1) operand.fail("its last axis must have stride 1");
}

}  // namespace

void Binder::elementwise(const Current& now) {
  const PlanOperation& operation = *now.operation;
  const FunctionInfo* info = find_function(operation.function);
  if (info == nullptr)
    throw FormatError(now.field + "/function", operation.function, "is not a function of this engine");
  const auto n = static_cast<std::size_t>(info->num_inputs);
  require_inputs(now, n, n);
  const Operand y = output(now);
  std::vector<Operand> inputs;
  for (std::size_t i = 0; i < n; ++i) {
    inputs.push_back(input(now, i));
    const PlanView &a = *inputs.back().view, &b = *y.view;
    if (a.buffer == b.buffer && (a.offset != b.offset || a.shape != b.shape || a.strides != b.strides))
      inputs.back().fail("must not overlap the output unless it is the output");
  }
  Instruction instruction{Instruction::Kind::Elementwise, {}};
  instruction.elementwise = elementwise_loops(inputs, y);
  instruction.elementwise.function = info->function;
  now.out->push_back(instruction);
}

// layer_norm: x, weight, bias -> y; softmax: x -> y; reduce: x (..., n) -> y (...)
void Binder::rows(const Current& now, Instruction::Kind kind) {
  const bool norm = kind == Instruction::Kind::LayerNorm;
  require_inputs(now, 1, norm ? 3 : 1);
  const Operand x = input(now, 0), y = fresh_output(now);
  const Rows in = rows_of(x);
  Instruction instruction{kind, {}};
  RowsArgs& args = instruction.rows = {};
  args.input = in.data;
  args.input_stride = in.stride;
  args.num_rows = in.count;
  args.length = in.length;
  args.output = y.data;
  if (kind == Instruction::Kind::Reduce) {
    const auto found = std::ranges::find(kReductions, now.operation->function,
                                         [](const auto& r) { return std::string(r.first); });
    if (found == kReductions.end())
      throw FormatError(now.field + "/function", now.operation->function,
                        "must be sum, mean, maximum or minimum");
    args.reduction = found->second;
    y.require_rank(1);
    if (y.shape()[0] != in.count) y.fail("must have one number for every row of the input");
    args.output_stride = y.stride(0);
  } else {
    if (y.shape() != x.shape()) y.fail("must have the input's shape");
    args.output_stride = rows_of(y).stride;
  }
  if (norm) {
    args.epsilon = static_cast<float>(number(now, "epsilon", 1e-5));
    if (has_input(now, 1)) args.weight = vector_of(input(now, 1), in.length);
    if (has_input(now, 2)) args.bias = vector_of(input(now, 2), in.length);
  }
  now.out->push_back(instruction);
}

// inputs: x (T, channels), weight, bias, scale, shift (channels), residual (T, channels); all but x may be
// left out
void Binder::group_norm(const Current& now) {
  require_inputs(now, 1, 6);
  const Operand x = input(now, 0), y = fresh_output(now);
  const Rows in = rows_of(x);
  if (y.shape() != x.shape()) y.fail("must have the input's shape");
  Instruction instruction{Instruction::Kind::GroupNorm, {}};
  GroupNormArgs& args = instruction.group_norm = {};
  args.input = in.data;
  args.input_stride = in.stride;
  args.output = y.data;
  args.output_stride = rows_of(y).stride;
  args.num_rows = in.count;
  args.channels = in.length;
  args.groups = static_cast<int>(whole(now, "groups", 0, 1, in.length, 1));
  if (in.length % args.groups != 0) x.fail("its channels must be a multiple of groups");
  const float** vectors[] = {&args.weight, &args.bias, &args.scale, &args.shift};
  for (std::size_t i = 0; i < 4; ++i)
    if (has_input(now, i + 1)) *vectors[i] = vector_of(input(now, i + 1), in.length);
  if (has_input(now, 5)) {
    const Operand residual = input(now, 5);
    residual.require_shape(x.shape());
    args.residual = residual.data;
    args.residual_stride = rows_of(residual).stride;
  }
  args.epsilon = static_cast<float>(number(now, "epsilon", 1e-5));
  args.activation = activation(now);
  args.scratch = scratch(2 * static_cast<std::int64_t>(in.length));
  now.out->push_back(instruction);
}

// inputs: query (heads, queries, depth), key (heads, keys, depth), value (heads, keys, value_depth), mask
// (heads, queries, keys), any of its strides 0; output (heads, queries, value_depth)
void Binder::attention(const Current& now) {
  require_inputs(now, 3, 4);
  const Operand q = input(now, 0), k = input(now, 1), v = input(now, 2), y = fresh_output(now);
  for (const Operand& matrix : {q, k, v, y}) require_matrix(matrix);
  const std::int64_t heads = q.shape()[0], queries = q.shape()[1], depth = q.shape()[2], keys = k.shape()[1];
  k.require_shape({heads, keys, depth});
  v.require_shape({heads, keys, v.shape()[2]});
  y.require_shape({heads, queries, v.shape()[2]});
  Instruction instruction{Instruction::Kind::Attention, {}};
  AttentionArgs& args = instruction.attention = {};
  args.query = q.data;
  args.key = k.data;
  args.value = v.data;
  args.output = y.data;
  for (std::size_t i = 0; i < 2; ++i) {
    args.query_stride[i] = q.stride(i);
    args.key_stride[i] = k.stride(i);
    args.value_stride[i] = v.stride(i);
    args.output_stride[i] = y.stride(i);
  }
  if (has_input(now, 3)) {
    const Operand mask = input(now, 3);
    mask.require_shape({heads, queries, keys});
    args.mask = mask.data;
    for (std::size_t i = 0; i < 3; ++i) args.mask_stride[i] = mask.stride(i);
  }
  args.heads = static_cast<int>(heads);
  args.queries = static_cast<int>(queries);
  args.keys = static_cast<int>(keys);
  args.depth = static_cast<int>(depth);
  args.value_depth = static_cast<int>(v.shape()[2]);
  args.scale = static_cast<float>(number(now, "scale", 1.0));
  args.causal = whole(now, "causal", 0, 0, 1, 0) == 1;
  args.scores = scratch(kQueryBlock * keys);
  now.out->push_back(instruction);
}

// inputs: a (batch, rows, depth), b (batch, depth, columns); output (batch, rows, columns)
void Binder::product(const Current& now) {
  require_inputs(now, 2, 2);
  const Operand a = input(now, 0), b = input(now, 1), y = fresh_output(now);
  a.require_rank(3);
  require_matrix(b);
  require_matrix(y);
  b.require_shape({a.shape()[0], a.shape()[2], b.shape()[2]});
  y.require_shape({a.shape()[0], a.shape()[1], b.shape()[2]});
  Instruction instruction{Instruction::Kind::Product, {}};
  instruction.product = {a.data,
                         b.data,
                         y.data,
                         {a.stride(0), a.stride(1), a.stride(2)},
                         {b.stride(0), b.stride(1)},
                         {y.stride(0), y.stride(1)},
                         static_cast<int>(a.shape()[0]),
                         static_cast<int>(a.shape()[1]),
                         static_cast<int>(a.shape()[2]),
                         static_cast<int>(b.shape()[2])};
  now.out->push_back(instruction);
}

// inputs: table (rows, length), index (n); output (n, length)
void Binder::gather(const Current& now) {
  require_inputs(now, 2, 2);
  const Operand table = input(now, 0), index = input(now, 1), y = fresh_output(now);
  table.require_rank(2);
  index.require_rank(1);
  y.require_shape({index.shape()[0], table.shape()[1]});
  const Rows from = rows_of(table), to = rows_of(y);
  Instruction instruction{Instruction::Kind::Gather, {}};
  instruction.gather = {table.data, index.data, y.data,     from.stride, index.stride(0),
                        to.stride,  to.count,   from.count, from.length};
  now.out->push_back(instruction);
}

// inputs: rows (blocks, length), index (1); output: table (blocks, rows, length), written in place
void Binder::scatter(const Current& now) {
  require_inputs(now, 2, 2);
  const Operand x = input(now, 0), index = input(now, 1), table = fresh_output(now);
  require_matrix(table);
  index.require_shape({1});
  x.require_shape({table.shape()[0], table.shape()[2]});
  const Rows from = rows_of(x);
  Instruction instruction{Instruction::Kind::Scatter, {}};
  instruction.scatter = {x.data,          index.data,      table.data, from.stride,
                         table.stride(0), table.stride(1), from.count, static_cast<int>(table.shape()[1]),
                         from.length};
  now.out->push_back(instruction);
}

}  // namespace vla_rt
