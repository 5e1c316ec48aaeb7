#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "inference/arena.hpp"
#include "inference/kernels.hpp"
#include "inference/operands.hpp"
#include "inference/plan.hpp"
#include "inference/program.hpp"

namespace vla_rt {

/// Gives every buffer of a plan its address and turns operations into instructions.
class Binder {
 public:
  Binder(const Plan& plan, const PlanWeights& weights, const Kernels& kernels, Arena& arena);

  [[nodiscard]] Program bind();

 private:
  /// The operation that is being bound.
  struct Current {
    const PlanOperation* operation;
    std::string field;
    std::vector<Instruction>* out;
  };
  /// Sizes of a convolution along one axis.
  struct Axis {
    std::int64_t input, output, kernel, stride, padding, dilation;
  };

  void bind_operation(const Current& now);
  void elementwise(const Current& now);
  void linear(const Current& now);
  void convolution(const Current& now);
  void transposed_convolution(const Current& now);
  void rows(const Current& now, Instruction::Kind kind);
  void group_norm(const Current& now);
  void attention(const Current& now);
  void product(const Current& now);
  void gather(const Current& now);
  void scatter(const Current& now);

  [[nodiscard]] Operand operand(int view, std::string field);
  [[nodiscard]] Operand input(const Current& now, std::size_t index);
  [[nodiscard]] bool has_input(const Current& now, std::size_t index) const;
  [[nodiscard]] Operand output(const Current& now);
  /// The output, which must share no buffer with an input.
  [[nodiscard]] Operand fresh_output(const Current& now);
  void require_inputs(const Current& now, std::size_t least, std::size_t most) const;
  /// A matrix as it is in the weights file.
  struct Weight {
    Operand shape;
    WeightType type;
    const void* data;
    /// The same numbers from element `offset` on.
    [[nodiscard]] const void* at(std::int64_t offset) const noexcept;
  };
  /// Where the rows of a matrix's input start, as offsets from the input's first number; -1 is a row of
  /// zeros.
  using RowOffsets = std::vector<std::int64_t>;
  [[nodiscard]] Weight weight(const Current& now, std::size_t rank);
  [[nodiscard]] std::int64_t whole(const Current& now, const char* name, std::size_t index, std::int64_t min,
                                   std::int64_t max, std::int64_t otherwise) const;
  [[nodiscard]] double number(const Current& now, const char* name, double otherwise) const;
  [[nodiscard]] Function activation(const Current& now) const;
  /// Sizes, output and packed weight of `args` become an instruction; rows [num_rows][taps].
  void finish_matrix(const Current& now, MatrixArgs args, const Weight& weight, std::int64_t offset,
                     const std::int64_t (&stride)[3], const float* input, const RowOffsets& rows);
  void narrow_matrix(const Current& now, const MatrixArgs& args, const Weight& weight, const void* packed,
                     const float* input, const RowOffsets& rows);
  [[nodiscard]] const void* packed(const MatrixArgs& args, WeightType type, const void* numbers,
                                   const std::int64_t (&stride)[3]);
  [[nodiscard]] const float** row_pointers(const float* input, const RowOffsets& rows, int depth);
  [[nodiscard]] float* scratch(std::int64_t floats);
  [[nodiscard]] const float* zeros(std::int64_t floats);
  [[nodiscard]] float* address(int buffer);

  const Plan& plan_;
  const PlanWeights& weights_;
  const Kernels& kernels_;
  Arena& arena_;
  std::vector<float*> addresses_;
  std::vector<bool> placed_;
  std::map<std::array<std::int64_t, 8>, const void*> packed_;  ///< by what was packed and how
  float *scratch_ = nullptr, *zeros_ = nullptr;
  std::int64_t scratch_size_ = 0, zeros_size_ = 0;
};

}  // namespace vla_rt
