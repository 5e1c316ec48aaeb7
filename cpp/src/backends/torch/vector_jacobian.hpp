#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/api/method.h>

namespace vla_rt {

/// (d step(x, t, context) / d x)^T c by autograd. `context` may stem from inference mode.
[[nodiscard]] at::Tensor vector_jacobian(torch::jit::Method& step, const at::Tensor& x, const at::Tensor& t,
                                         const c10::IValue& context, const at::Tensor& c);

}  // namespace vla_rt
