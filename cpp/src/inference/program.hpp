#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "inference/arena.hpp"
#include "inference/kernels.hpp"
#include "inference/plan.hpp"

namespace vla_rt {

/// One call of a kernel with its operands bound to memory.
struct Instruction {
  enum class Kind : std::uint8_t {
    Elementwise,
    Matrix,
    RoundRows,
    NarrowMatrix,
    LayerNorm,
    Softmax,
    Reduce,
    GroupNorm,
    Attention,
    Product,
    Gather,
    Scatter
  };
  Kind kind;
  union {
    ElementwiseArgs elementwise;
    MatrixArgs matrix;
    RoundArgs round;
    NarrowMatrixArgs narrow;
    RowsArgs rows;
    GroupNormArgs group_norm;
    AttentionArgs attention;
    ProductArgs product;
    GatherArgs gather;
    ScatterArgs scatter;
  };
};

/// A plan bound to memory: weights packed in the order in which they are read, every operand an address.
struct Program {
  std::array<std::vector<Instruction>, kNumStages> stages;
  float* time = nullptr;
  float* input = nullptr;
  float* answer = nullptr;
  std::vector<float*> observation, context;
  std::span<float> rows;  ///< all row buffers, one after the other
};

/// Binds a plan to memory from `arena`. Checks the operands of every operation; throws FormatError naming the
/// field of plan.json. With a counting arena everything is checked and counted and the addresses are not to
/// be used.
[[nodiscard]] Program bind_plan(const Plan& plan, const PlanWeights& weights, const Kernels& kernels,
                                Arena& arena);

/// Real-time: no allocation, lock or system call; the time depends on the program alone.
void run(const Instruction& instruction, const Kernels& kernels) noexcept VLA_RT_NONBLOCKING;
void run(const std::vector<Instruction>& instructions, const Kernels& kernels) noexcept VLA_RT_NONBLOCKING;

}  // namespace vla_rt
