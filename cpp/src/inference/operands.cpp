#include "inference/operands.hpp"

#include <algorithm>
#include <array>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (const std::int64_t extent : shape) text += std::to_string(extent) + ",";
  return text + ")";
}

constexpr std::size_t kOperands = 4;  // the output and up to three inputs
struct Loop {
  std::int64_t extent;
  std::array<std::int64_t, kOperands> stride;
};

/// Whether `outer` goes on exactly where `inner` ends, for every operand.
bool continues(const Loop& outer, const Loop& inner) {
  for (std::size_t i = 0; i < kOperands; ++i)
    if (outer.stride[i] != inner.stride[i] * inner.extent) return false;
  return true;
}

}  // namespace

std::int64_t Operand::elements() const noexcept {
  std::int64_t n = 1;
  for (const std::int64_t extent : view->shape) n *= extent;
  return n;
}

void Operand::fail(const std::string& bound) const { throw FormatError(field, shape_text(shape()), bound); }

void Operand::require_rank(std::size_t rank) const {
  if (shape().size() != rank) fail("must have " + std::to_string(rank) + " axes");
}

void Operand::require_shape(const std::vector<std::int64_t>& wanted) const {
  if (shape() != wanted) fail("must have the shape " + shape_text(wanted));
}

Rows rows_of(const Operand& operand) {
  const auto& [shape, strides] = std::pair(operand.shape(), operand.view->strides);
  if (shape.empty()) operand.fail("must have at least one axis");
  if (shape.back() > 1 && strides.back() != 1) operand.fail("its last axis must have stride 1");
  std::int64_t count = 1, stride = 0;
  for (std::size_t d = shape.size() - 1; d-- > 0;) {
    if (shape[d] == 1) continue;
    if (count > 1 && strides[d] != stride * count) operand.fail("its axes but the last must fold into one");
    if (count == 1) stride = strides[d];
    count *= shape[d];
  }
  return {operand.data, stride, static_cast<int>(count), static_cast<int>(shape.back())};
}

const float* vector_of(const Operand& operand, std::int64_t length) {
  if (operand.elements() != length) operand.fail("must have " + std::to_string(length) + " elements");
  if (rows_of(operand).count != 1) operand.fail("must be one dense row");
  return operand.data;
}

ElementwiseArgs elementwise_loops(const std::vector<Operand>& inputs, const Operand& output) {
  const std::size_t rank = output.shape().size();
  std::vector<Loop> loops;
  for (std::size_t d = 0; d < rank; ++d) {
    Loop loop{output.shape()[d], {output.stride(d), 0, 0, 0}};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Operand& input = inputs[i];
      if (input.shape().size() > rank) input.fail("must not have more axes than the output");
      const std::size_t missing = rank - input.shape().size();
      if (d < missing) continue;
      const std::int64_t extent = input.shape()[d - missing];
      if (extent != 1 && extent != loop.extent)
        input.fail("must fit the output's shape " + shape_text(output.shape()));
      if (extent > 1) loop.stride[i + 1] = input.stride(d - missing);
    }
    if (loop.extent > 1 && loop.stride[0] == 0) output.fail("must not write one element twice");
    if (loop.extent > 1) loops.push_back(loop);
  }
  std::ranges::stable_sort(loops, std::ranges::greater{}, [](const Loop& l) { return l.stride[0]; });
  std::vector<Loop> folded;
  for (const Loop& loop : loops) {
    if (!folded.empty() && continues(folded.back(), loop)) {
      const std::int64_t extent = folded.back().extent * loop.extent;
      folded.back() = loop;
      folded.back().extent = extent;
    } else {
      folded.push_back(loop);
    }
  }
  if (folded.size() > kLoops) output.fail("needs more than " + std::to_string(kLoops) + " loops");
  while (folded.size() < kLoops) folded.insert(folded.begin(), Loop{1, {}});

  ElementwiseArgs args{};
  args.num_inputs = static_cast<int>(inputs.size());
  args.output = output.data;
  for (std::size_t l = 0; l < kLoops; ++l) {
    args.extent[l] = folded[l].extent;
    args.output_stride[l] = folded[l].stride[0];
    for (std::size_t i = 0; i < 3; ++i) args.input_stride[i][l] = folded[l].stride[i + 1];
  }
  if (folded.back().extent == 1) args.output_stride[kLoops - 1] = 1;
  for (std::size_t i = 0; i < 3; ++i) args.input[i] = inputs[i < inputs.size() ? i : 0].data;
  return args;
}

}  // namespace vla_rt
