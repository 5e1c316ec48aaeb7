#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "inference/kernels.hpp"
#include "inference/plan.hpp"

namespace vla_rt {

/// A view bound to memory.
struct Operand {
  float* data = nullptr;
  const PlanView* view = nullptr;
  int buffer = 0;
  std::string field;  ///< for complaints: plan.json#/step/3/inputs/0

  [[nodiscard]] const std::vector<std::int64_t>& shape() const noexcept { return view->shape; }
  [[nodiscard]] std::int64_t stride(std::size_t axis) const { return view->strides.at(axis); }
  [[nodiscard]] std::int64_t elements() const noexcept;
  [[noreturn]] void fail(const std::string& bound) const;
  void require_rank(std::size_t rank) const;
  void require_shape(const std::vector<std::int64_t>& shape) const;
};

/// A tensor as rows of neighbours: all axes but the last fold into one.
struct Rows {
  float* data;
  std::int64_t stride;
  int count, length;
};
[[nodiscard]] Rows rows_of(const Operand& operand);

/// The address of a dense vector of `length` numbers.
[[nodiscard]] const float* vector_of(const Operand& operand, std::int64_t length);

/// Loops over an output and its broadcast inputs, as few as the strides allow, the output's neighbours
/// innermost. Throws FormatError when shapes do not fit or more than kLoops loops are left.
[[nodiscard]] ElementwiseArgs elementwise_loops(const std::vector<Operand>& inputs, const Operand& output);

}  // namespace vla_rt
