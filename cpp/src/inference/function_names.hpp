#pragma once
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "inference/kernels.hpp"

namespace vla_rt {

struct FunctionInfo {
  std::string_view name;
  Function function;
  int num_inputs;
};

/// Functions as plan.json names them.
inline constexpr std::array kFunctions = {
    FunctionInfo{"copy", Function::Copy, 1},         FunctionInfo{"relu", Function::Relu, 1},
    FunctionInfo{"gelu", Function::Gelu, 1},         FunctionInfo{"gelu_tanh", Function::GeluTanh, 1},
    FunctionInfo{"silu", Function::Silu, 1},         FunctionInfo{"mish", Function::Mish, 1},
    FunctionInfo{"tanh", Function::Tanh, 1},         FunctionInfo{"sigmoid", Function::Sigmoid, 1},
    FunctionInfo{"softplus", Function::Softplus, 1}, FunctionInfo{"exp", Function::Exp, 1},
    FunctionInfo{"log", Function::Log, 1},           FunctionInfo{"sqrt", Function::Sqrt, 1},
    FunctionInfo{"rsqrt", Function::Rsqrt, 1},       FunctionInfo{"reciprocal", Function::Reciprocal, 1},
    FunctionInfo{"negate", Function::Negate, 1},     FunctionInfo{"absolute", Function::Absolute, 1},
    FunctionInfo{"square", Function::Square, 1},     FunctionInfo{"sine", Function::Sine, 1},
    FunctionInfo{"cosine", Function::Cosine, 1},     FunctionInfo{"truncate", Function::Truncate, 1},
    FunctionInfo{"not", Function::Not, 1},           FunctionInfo{"add", Function::Add, 2},
    FunctionInfo{"subtract", Function::Subtract, 2}, FunctionInfo{"multiply", Function::Multiply, 2},
    FunctionInfo{"divide", Function::Divide, 2},     FunctionInfo{"maximum", Function::Maximum, 2},
    FunctionInfo{"minimum", Function::Minimum, 2},   FunctionInfo{"power", Function::Power, 2},
    FunctionInfo{"less", Function::Less, 2},         FunctionInfo{"less_equal", Function::LessEqual, 2},
    FunctionInfo{"equal", Function::Equal, 2},       FunctionInfo{"not_equal", Function::NotEqual, 2},
    FunctionInfo{"where", Function::Where, 3},
};
static_assert(kFunctions.size() == static_cast<std::size_t>(Function::kCount));

[[nodiscard]] constexpr const FunctionInfo* find_function(std::string_view name) noexcept {
  for (const FunctionInfo& info : kFunctions)
    if (info.name == name) return &info;
  return nullptr;
}

}  // namespace vla_rt
