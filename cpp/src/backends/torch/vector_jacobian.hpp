#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/api/method.h>

namespace vla_rt {

/// (d step(x, rows, context) / d x)^T c by autograd. Rows and context may stem from inference mode.
[[nodiscard]] at::Tensor vector_jacobian(torch::jit::Method& step, const at::Tensor& x,
                                         const c10::IValue& rows, const c10::IValue& context,
                                         const at::Tensor& c);

}  // namespace vla_rt
