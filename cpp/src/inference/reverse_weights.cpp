// Matrices of few bits, as the way back reads them.
#include <bit>
#include <string>
#include <utility>

#include "inference/reverse_plan.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

float element(const PlanTensor& tensor, std::int64_t at) {
  switch (tensor.type) {
    case WeightType::Float32:
      return static_cast<const float*>(tensor.data)[at];
    case WeightType::BFloat16:
      return std::bit_cast<float>(
          static_cast<std::uint32_t>(static_cast<const std::uint16_t*>(tensor.data)[at]) << 16);
    case WeightType::Int8:
      return static_cast<float>(static_cast<const std::int8_t*>(tensor.data)[at]);
  }
  return 0;
}

}  // namespace

Plan widened(Plan plan, PlanWeights& weights, std::deque<std::vector<float>>& numbers) {
  for (PlanOperation& operation : plan.stages[static_cast<std::size_t>(Stage::Step)]) {
    const bool transposed = operation.name == "transposed_convolution";
    if (operation.name != "linear" && operation.name != "convolution" && !transposed) continue;
    const PlanView w = plan.views[static_cast<std::size_t>(operation.inputs[1])];
    const PlanTensor tensor = weights.at(plan.buffers[static_cast<std::size_t>(w.buffer)].tensor);
    if (tensor.type == WeightType::Float32) continue;
    const float* scale = nullptr;  // of every output
    if (operation.inputs.size() > 3 && operation.inputs[3] != -1) {
      const PlanView& s = plan.views[static_cast<std::size_t>(operation.inputs[3])];
      const PlanBuffer& stored = plan.buffers[static_cast<std::size_t>(s.buffer)];
      if (stored.role != BufferRole::Weight)
        throw ModelError("vjp, " + operation.name, "inputs/3", "scales that are computed have no derivative");
      scale = weights.at(stored.tensor).floats().data() + s.offset;
      operation.inputs.resize(3);
    }
    std::vector<std::int64_t> strides(w.shape.size(), 1);
    for (std::size_t d = w.shape.size(); d-- > 1;) strides[d - 1] = strides[d] * w.shape[d];
    std::vector<float>& wide = numbers.emplace_back(static_cast<std::size_t>(strides[0] * w.shape[0]));
    const std::size_t outputs = transposed ? 1 : 0;
    for (std::size_t i = 0; i < wide.size(); ++i) {
      std::int64_t at = w.offset, rest = static_cast<std::int64_t>(i), output = 0;
      for (std::size_t d = 0; d < w.shape.size(); ++d) {
        const std::int64_t place = rest / strides[d];
        rest %= strides[d];
        at += place * w.strides[d];
        if (d == outputs) output = place;
      }
      wide[i] = element(tensor, at) * (scale == nullptr ? 1.0F : scale[output]);
    }
    const std::string name = "vjp/wide/" + std::to_string(numbers.size());
    weights[name] = PlanTensor(std::span<const float>(wide));
    plan.buffers.push_back({BufferRole::Weight, static_cast<std::int64_t>(wide.size()), name});
    plan.views.push_back({static_cast<int>(plan.buffers.size()) - 1, 0, w.shape, strides});
    operation.inputs[1] = static_cast<int>(plan.views.size()) - 1;
  }
  return plan;
}

}  // namespace vla_rt
