// Linear layers and convolutions: packed matrices times rows.
#include <algorithm>
#include <array>

#include "inference/binder.hpp"

namespace vla_rt {
namespace {

constexpr std::int64_t kMaxStep = 1 << 16;  // of strides, paddings and dilations
constexpr std::int64_t kMaxPointers = 1 << 24;

}  // namespace

void Binder::finish_matrix(const Current& now, MatrixArgs args, const float* weight,
                           const std::int64_t (&stride)[3]) {
  const std::array<std::int64_t, 8> key{static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(weight)),
                                        kernels_.panel(args.num_rows),
                                        args.taps,
                                        args.depth,
                                        args.outputs,
                                        stride[0],
                                        stride[1],
                                        stride[2]};
  const auto [found, is_new] = packed_.try_emplace(key, nullptr);
  if (is_new) {
    const auto size = packed_size(kernels_, args.num_rows, args.taps, args.depth, args.outputs);
    found->second = arena_.floats(static_cast<std::int64_t>(size));
    if (found->second != nullptr)
      pack_matrix(kernels_, args.num_rows, args.taps, args.depth, args.outputs, weight, stride,
                  found->second);
  }
  args.weight = found->second;
  args.bias = has_input(now, 2) ? vector_of(input(now, 2), args.outputs) : nullptr;
  args.activation = activation(now);
  Instruction instruction{Instruction::Kind::Matrix, {}};
  instruction.matrix = args;
  now.out->push_back(instruction);
}

// inputs: x (..., depth), weight (outputs, depth), bias (outputs) or none; output (..., outputs)
void Binder::linear(const Current& now) {
  require_inputs(now, 2, 3);
  Operand shape;
  const float* w = weight(now, 1, 2, shape);
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
  const float** pointers = arena_.pointers(args.num_rows);
  if (pointers != nullptr)
    for (int r = 0; r < args.num_rows; ++r) pointers[r] = x.data + r * in.stride;
  args.rows = pointers;
  finish_matrix(now, args, w, {shape.stride(0), 0, shape.stride(1)});
}

// inputs: x (H, W, depth), weight (outputs, depth, kernel_h, kernel_w), bias; output (H', W', outputs)
void Binder::convolution(const Current& now) {
  require_inputs(now, 2, 3);
  Operand shape;
  const float* w = weight(now, 1, 4, shape);
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
  const float* nothing = zeros(args.depth);
  const float** pointers = arena_.pointers(static_cast<std::int64_t>(args.num_rows) * args.taps);
  args.rows = pointers;
  if (pointers != nullptr) {
    const auto source = [](const Axis& axis, std::int64_t at, std::int64_t tap) {
      const std::int64_t i = at * axis.stride - axis.padding + tap * axis.dilation;
      return i < axis.input ? i : -1;
    };
    for (std::int64_t h = 0; h < axes[0].output; ++h)
      for (std::int64_t c = 0; c < axes[1].output; ++c)
        for (std::int64_t i = 0; i < axes[0].kernel; ++i)
          for (std::int64_t j = 0; j < axes[1].kernel; ++j) {
            const std::int64_t row = source(axes[0], h, i), column = source(axes[1], c, j);
            *pointers++ = row < 0 || column < 0 ? nothing : x.data + row * x.stride(0) + column * x.stride(1);
          }
  }
  if (shape.stride(2) != axes[1].kernel * shape.stride(3))
    shape.fail("the axes of its kernel must fold into one");
  finish_matrix(now, args, w, {shape.stride(0), shape.stride(3), shape.stride(1)});
}

// inputs: x (T, depth), weight (depth, outputs, kernel), bias; output (T', outputs). Output rows of equal
// phase t mod stride see the same taps: one matrix each.
void Binder::transposed_convolution(const Current& now) {
  require_inputs(now, 2, 3);
  Operand shape;
  const float* w = weight(now, 1, 3, shape);
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
  const float* nothing = zeros(in.length);
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
    const float** pointers = arena_.pointers(static_cast<std::int64_t>(args.num_rows) * args.taps);
    args.rows = pointers;
    if (pointers != nullptr)
      for (std::int64_t r = 0; r < args.num_rows; ++r)
        for (std::int64_t k = 0; k < args.taps; ++k) {
          const std::int64_t from = (first + r * stride + padding - phase) / stride - k;
          *pointers++ = from < 0 || from >= in.count ? nothing : x.data + from * in.stride;
        }
    finish_matrix(now, args, w + phase * shape.stride(2),
                  {shape.stride(1), stride * shape.stride(2), shape.stride(0)});
  }
}

}  // namespace vla_rt
