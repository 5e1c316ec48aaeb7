// Linear layers and convolutions: packed matrices times rows.
#include <algorithm>
#include <array>

#include "inference/binder.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::int64_t kMaxStep = 1 << 16;  // of strides, paddings and dilations
constexpr std::int64_t kMaxPointers = 1 << 24;

}  // namespace

const void* Binder::Weight::at(std::int64_t offset) const noexcept {
  constexpr std::int64_t kSizes[] = {4, 2, 1};
  return static_cast<const std::byte*>(data) + offset * kSizes[static_cast<std::size_t>(type)];
}

Binder::Weight Binder::weight(const Current& now, std::size_t rank) {
  const std::string field = now.field + "/inputs/1";
  if (!has_input(now, 1)) throw FormatError(field, "", "is missing");
  const PlanView& view = plan_.views[static_cast<std::size_t>(now.operation->inputs[1])];
  Weight result{{nullptr, &view, view.buffer, field}, WeightType::Float32, nullptr};
  const PlanBuffer& buffer = plan_.buffers[static_cast<std::size_t>(view.buffer)];
  if (buffer.role != BufferRole::Weight) result.shape.fail("must be a tensor of the weights file");
  result.shape.require_rank(rank);
  for (const std::int64_t extent : view.shape)
    if (extent > INT32_MAX) result.shape.fail("is too large");
  const PlanTensor& tensor = weights_.at(buffer.tensor);
  result.type = tensor.type;
  result.data = tensor.data;
  result.data = result.at(view.offset);
  if ((tensor.type == WeightType::Int8) != has_input(now, 3))
    throw FormatError(now.field + "/inputs/3", buffer.tensor,
                      "is the scale of int8 weights and of no others");
  return result;
}

const void* Binder::packed(const MatrixArgs& args, WeightType type, const void* numbers,
                           const std::int64_t (&stride)[3]) {
  const std::array<std::int64_t, 8> key{static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(numbers)),
                                        kernels_.panel(args.num_rows),
                                        args.taps,
                                        args.depth,
                                        args.outputs,
                                        stride[0],
                                        stride[1],
                                        stride[2]};
  const auto [found, is_new] = packed_.try_emplace(key, nullptr);
  if (!is_new) return found->second;
  if (type == WeightType::Float32) {
    const auto size = packed_size(kernels_, args.num_rows, args.taps, args.depth, args.outputs);
    float* place = arena_.floats(static_cast<std::int64_t>(size));
    if (place != nullptr)
      pack_matrix(kernels_, args.num_rows, args.taps, args.depth, args.outputs,
                  static_cast<const float*>(numbers), stride, place);
    found->second = place;
  } else {
    std::byte* place =
        arena_.bytes(packed_narrow_size(kernels_, type, args.num_rows, args.taps, args.depth, args.outputs));
    if (place != nullptr)
      pack_narrow(kernels_, type, args.num_rows, args.taps, args.depth, args.outputs, numbers, stride, place);
    found->second = place;
  }
  return found->second;
}

const float** Binder::row_pointers(const float* input, const RowOffsets& rows, int depth) {
  const float* nothing = std::ranges::count(rows, -1) > 0 ? zeros(depth) : nullptr;
  const float** pointers = arena_.pointers(static_cast<std::int64_t>(rows.size()));
  if (pointers != nullptr)
    std::ranges::transform(rows, pointers,
                           [&](std::int64_t offset) { return offset < 0 ? nothing : input + offset; });
  return pointers;
}

void Binder::finish_matrix(const Current& now, MatrixArgs args, const Weight& weight, std::int64_t offset,
                           const std::int64_t (&stride)[3], const float* input, const RowOffsets& rows) {
  const void* numbers = packed(args, weight.type, weight.at(offset), stride);
  args.bias = has_input(now, 2) ? vector_of(this->input(now, 2), args.outputs) : nullptr;
  args.activation = activation(now);
  if (weight.type != WeightType::Float32) return narrow_matrix(now, args, weight, numbers, input, rows);
  args.weight = static_cast<const float*>(numbers);
  args.rows = row_pointers(input, rows, args.depth);
  Instruction instruction{Instruction::Kind::Matrix, {}};
  instruction.matrix = args;
  now.out->push_back(instruction);
}

// Every row of the input is rounded once, however many taps read it.
void Binder::narrow_matrix(const Current& now, const MatrixArgs& args, const Weight& weight,
                           const void* packed, const float* input, const RowOffsets& rows) {
  RowOffsets distinct = rows;
  std::ranges::sort(distinct);
  distinct.erase(std::ranges::unique(distinct).begin(), distinct.end());
  const auto count = static_cast<std::int64_t>(distinct.size());

  RoundArgs round{};
  round.type = weight.type;
  round.sources = row_pointers(input, distinct, args.depth);
  round.num_rows = static_cast<int>(count);
  round.depth = args.depth;
  const auto floats = static_cast<std::int64_t>(narrow_row_size(kernels_, weight.type, args.depth) / 4);
  float* place = scratch(count * (floats + 2));
  round.output = reinterpret_cast<std::byte*>(place);
  round.factors = place == nullptr ? nullptr : place + count * floats;
  Instruction rounding{Instruction::Kind::RoundRows, {}};
  rounding.round = round;
  now.out->push_back(rounding);

  std::int32_t* indices = arena_.indices(static_cast<std::int64_t>(rows.size()));
  if (indices != nullptr)
    std::ranges::transform(rows, indices, [&](std::int64_t offset) {
      return static_cast<std::int32_t>(std::ranges::lower_bound(distinct, offset) - distinct.begin());
    });
  NarrowMatrixArgs narrow{};
  narrow.type = weight.type;
  narrow.weight = static_cast<const std::byte*>(packed);
  narrow.bias = args.bias;
  narrow.scale = weight.type == WeightType::Int8 ? vector_of(this->input(now, 3), args.outputs) : nullptr;
  narrow.input = round.output;
  narrow.factors = round.factors;
  narrow.rows = indices;
  narrow.output = args.output;
  narrow.output_stride = args.output_stride;
  narrow.num_rows = args.num_rows;
  narrow.taps = args.taps;
  narrow.depth = args.depth;
  narrow.outputs = args.outputs;
  narrow.activation = args.activation;
  Instruction instruction{Instruction::Kind::NarrowMatrix, {}};
  instruction.narrow = narrow;
  now.out->push_back(instruction);
}

// inputs: x (..., depth), weight (outputs, depth), bias (outputs) or none, scale (outputs) of int8 weights;
// output (..., outputs)
void Binder::linear(const Current& now) {
  require_inputs(now, 2, 4);
  const Weight w = weight(now, 2);
  const Operand& shape = w.shape;
  const Operand x = input(now, 0), y = fresh_output(now);
  const Rows in = rows_of(x), out = rows_of(y);
  if (in.length != shape.shape()[1])
    x.fail("its last axis must have the weight's " + std::to_string(shape.shape()[1]));
  if (out.length != shape.shape()[0] || out.count != in.count)
    y.fail("must have one row of " + std::to_string(shape.shape()[0]) + " for every row of the input");
  MatrixArgs args{};
  args.num_rows = in.count;
  args.taps = 1;
  args.depth = in.length;
  args.outputs = out.length;
  args.output = y.data;
  args.output_stride = out.stride;
  if (args.num_rows > kMaxPointers) x.fail("has too many rows");
  RowOffsets rows;
  for (int r = 0; r < args.num_rows; ++r) rows.push_back(r * in.stride);
  finish_matrix(now, args, w, 0, {shape.stride(0), 0, shape.stride(1)}, x.data, rows);
}

// inputs: x (H, W, depth), weight (outputs, depth, kernel_h, kernel_w), bias, scale; output (H', W', outputs)
void Binder::convolution(const Current& now) {
  require_inputs(now, 2, 4);
  const Weight w = weight(now, 4);
  const Operand& shape = w.shape;
  const Operand x = input(now, 0), y = fresh_output(now);
  x.require_rank(3);
  y.require_rank(3);
  if (x.shape()[2] != shape.shape()[1]) x.fail("its last axis must have the weight's depth");
  if (x.shape()[2] > 1 && x.stride(2) != 1) x.fail("its last axis must have stride 1");
  Axis axes[2];
  for (std::size_t a = 0; a < 2; ++a) {
    Axis& axis = axes[a];
    axis = {x.shape()[a],
            y.shape()[a],
            shape.shape()[a + 2],
            whole(now, "stride", a, 1, kMaxStep, 1),
            whole(now, "padding", a, 0, kMaxStep, 0),
            whole(now, "dilation", a, 1, kMaxStep, 1)};
    const std::int64_t reach = axis.input + 2 * axis.padding - axis.dilation * (axis.kernel - 1) - 1;
    if (reach < 0 || reach / axis.stride + 1 != axis.output)
      y.fail("axis " + std::to_string(a) +
             " does not follow from the input's, kernel, stride, padding, dilation");
  }
  const Rows out = rows_of(y);
  if (out.length != shape.shape()[0]) y.fail("its last axis must have the weight's outputs");
  MatrixArgs args{};
  args.num_rows = out.count;
  args.taps = static_cast<int>(std::min<std::int64_t>(axes[0].kernel * axes[1].kernel, kMaxPointers));
  args.depth = static_cast<int>(x.shape()[2]);
  args.outputs = out.length;
  args.output = y.data;
  args.output_stride = out.stride;
  if (static_cast<std::int64_t>(args.num_rows) * args.taps > kMaxPointers)
    y.fail("has too many rows times taps");
  const auto source = [](const Axis& axis, std::int64_t at, std::int64_t tap) {
    const std::int64_t i = at * axis.stride - axis.padding + tap * axis.dilation;
    return i < axis.input ? i : -1;
  };
  RowOffsets rows;
  for (std::int64_t h = 0; h < axes[0].output; ++h)
    for (std::int64_t c = 0; c < axes[1].output; ++c)
      for (std::int64_t i = 0; i < axes[0].kernel; ++i)
        for (std::int64_t j = 0; j < axes[1].kernel; ++j) {
          const std::int64_t row = source(axes[0], h, i), column = source(axes[1], c, j);
          rows.push_back(row < 0 || column < 0 ? -1 : row * x.stride(0) + column * x.stride(1));
        }
  if (shape.stride(2) != axes[1].kernel * shape.stride(3))
    shape.fail("the axes of its kernel must fold into one");
  finish_matrix(now, args, w, 0, {shape.stride(0), shape.stride(3), shape.stride(1)}, x.data, rows);
}

// inputs: x (T, depth), weight (depth, outputs, kernel), bias, scale; output (T', outputs). Output rows of
// equal phase t mod stride see the same taps: one matrix each.
void Binder::transposed_convolution(const Current& now) {
  require_inputs(now, 2, 4);
  const Weight w = weight(now, 3);
  const Operand& shape = w.shape;
  const Operand x = input(now, 0), y = fresh_output(now);
  x.require_rank(2);
  y.require_rank(2);
  const Rows in = rows_of(x), out = rows_of(y);
  const std::int64_t kernel = shape.shape()[2];
  const std::int64_t stride = whole(now, "stride", 0, 1, kMaxStep, 1),
                     padding = whole(now, "padding", 0, 0, kMaxStep, 0);
  if (in.length != shape.shape()[0]) x.fail("its last axis must have the weight's depth");
  if (out.length != shape.shape()[1]) y.fail("its last axis must have the weight's outputs");
  const std::int64_t least = (in.count - 1) * stride - 2 * padding + kernel;
  if (out.count < least || out.count >= least + stride)
    y.fail("axis 0 does not follow from the input's, kernel, stride and padding");
  if (kernel < stride) shape.fail("must have a kernel of at least the stride");
  for (std::int64_t first = 0; first < std::min<std::int64_t>(stride, out.count); ++first) {
    const std::int64_t phase = (first + padding) % stride;
    MatrixArgs args{};
    args.num_rows = static_cast<int>((out.count - first + stride - 1) / stride);
    args.taps = static_cast<int>((kernel - phase + stride - 1) / stride);
    args.depth = in.length;
    args.outputs = out.length;
    args.output = y.data == nullptr ? nullptr : y.data + first * out.stride;
    args.output_stride = out.stride * stride;
    if (static_cast<std::int64_t>(args.num_rows) * args.taps > kMaxPointers)
      y.fail("has too many rows times taps");
    RowOffsets rows;
    for (std::int64_t r = 0; r < args.num_rows; ++r)
      for (std::int64_t k = 0; k < args.taps; ++k) {
        const std::int64_t from = (first + r * stride + padding - phase) / stride - k;
        rows.push_back(from < 0 || from >= in.count ? -1 : from * in.stride);
      }
    finish_matrix(now, args, w, phase * shape.stride(2),
                  {shape.stride(1), stride * shape.stride(2), shape.stride(0)}, x.data, rows);
  }
}

}  // namespace vla_rt
