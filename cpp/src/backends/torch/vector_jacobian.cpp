#include "backends/torch/vector_jacobian.hpp"

#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

namespace vla_rt {
namespace {

// Inference tensors cannot take part in a graph; their clones can.
c10::IValue outside_inference(const c10::IValue& value) {
  if (value.isTensor()) return value.toTensor().clone();
  std::vector<c10::IValue> parts;
  for (const c10::IValue& part : value.toTupleRef().elements()) parts.push_back(outside_inference(part));
  return c10::ivalue::Tuple::create(std::move(parts));
}

}  // namespace

at::Tensor vector_jacobian(torch::jit::Method& step, const at::Tensor& x, const c10::IValue& rows,
                           const c10::IValue& context, const at::Tensor& c) {
  const c10::InferenceMode graph(false);
  const c10::AutoGradMode grad(true);
  const at::Tensor leaf = x.clone().requires_grad_(true);
  const at::Tensor v = step({leaf, outside_inference(rows), outside_inference(context)}).toTensor();
  const std::vector<at::Tensor> gradient =
      torch::autograd::grad({v}, {leaf}, {c.clone()}, /*retain_graph=*/std::nullopt, /*create_graph=*/false,
                            /*allow_unused=*/true);
  return gradient[0].defined() ? gradient[0].contiguous() : at::zeros_like(x);
}

}  // namespace vla_rt
