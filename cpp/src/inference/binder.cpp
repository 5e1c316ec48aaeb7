#include "inference/binder.hpp"

#include <algorithm>
#include <cmath>

#include "inference/function_names.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

Binder::Binder(const Plan& plan, const PlanWeights& weights, const Kernels& kernels, Arena& arena)
    : plan_(plan),
      weights_(weights),
      kernels_(kernels),
      arena_(arena),
      addresses_(plan.buffers.size(), nullptr),
      placed_(plan.buffers.size(), false) {}

Program Binder::bind() {
  Program program;
  std::int64_t temporary = 0, rows = 0;
  const std::vector<std::int64_t> offsets = place_temporaries(plan_, temporary);
  for (const PlanBuffer& buffer : plan_.buffers)
    if (buffer.role == BufferRole::Row) rows += buffer.size;
  float* row = arena_.floats(rows);
  program.rows = arena_.is_counting() ? std::span<float>() : std::span(row, static_cast<std::size_t>(rows));
  float* base = arena_.floats(temporary);
  for (std::size_t b = 0; b < plan_.buffers.size(); ++b) {
    const PlanBuffer& buffer = plan_.buffers[b];
    if (buffer.role == BufferRole::Weight) continue;  // placed when first read
    placed_[b] = true;
    if (buffer.role == BufferRole::Row) {
      addresses_[b] = row;
      if (row != nullptr) row += buffer.size;
    } else if (buffer.role == BufferRole::Temporary) {
      if (base != nullptr && offsets[b] >= 0) addresses_[b] = base + offsets[b];
    } else {
      addresses_[b] = arena_.floats(buffer.size);
    }
    if (buffer.role == BufferRole::Time) program.time = addresses_[b];
    if (buffer.role == BufferRole::Input) program.input = addresses_[b];
    if (buffer.role == BufferRole::Answer) program.answer = addresses_[b];
    if (buffer.role == BufferRole::Observation) program.observation.push_back(addresses_[b]);
    if (buffer.role == BufferRole::Context) program.context.push_back(addresses_[b]);
  }
  for (std::size_t s = 0; s < kNumStages; ++s)
    for (std::size_t i = 0; i < plan_.stages[s].size(); ++i) {
      const std::string field =
          "plan.json#/" + std::string(to_string(static_cast<Stage>(s))) + "/" + std::to_string(i);
      bind_operation({&plan_.stages[s][i], field, &program.stages[s]});
    }
  return program;
}

void Binder::bind_operation(const Current& now) {
  const std::string& name = now.operation->name;
  if (name == "elementwise") return elementwise(now);
  if (name == "linear") return linear(now);
  if (name == "convolution") return convolution(now);
  if (name == "transposed_convolution") return transposed_convolution(now);
  if (name == "layer_norm") return rows(now, Instruction::Kind::LayerNorm);
  if (name == "softmax") return rows(now, Instruction::Kind::Softmax);
  if (name == "reduce") return rows(now, Instruction::Kind::Reduce);
  if (name == "group_norm") return group_norm(now);
  if (name == "attention") return attention(now);
  if (name == "product") return product(now);
  if (name == "gather") return gather(now);
  if (name == "scatter") return scatter(now);
  throw FormatError(now.field + "/op", name, "is not an operation of this engine");
}

float* Binder::address(int buffer) {
  const auto b = static_cast<std::size_t>(buffer);
  if (!placed_[b]) {
    const PlanTensor& stored = weights_.at(plan_.buffers[b].tensor);
    if (stored.type != WeightType::Float32)
      throw FormatError("plan.json#/buffers/" + std::to_string(b) + "/tensor", plan_.buffers[b].tensor,
                        "must be float32 where it is not the weight of a matrix");
    const std::span<const float> tensor = stored.floats();
    addresses_[b] = arena_.floats(static_cast<std::int64_t>(tensor.size()));
    if (addresses_[b] != nullptr) std::ranges::copy(tensor, addresses_[b]);
    placed_[b] = true;
  }
  return addresses_[b];
}

Operand Binder::operand(int view, std::string field) {
  const PlanView& v = plan_.views.at(static_cast<std::size_t>(view));
  float* base = address(v.buffer);
  return {base == nullptr ? nullptr : base + v.offset, &v, v.buffer, std::move(field)};
}

bool Binder::has_input(const Current& now, std::size_t index) const {
  return index < now.operation->inputs.size() && now.operation->inputs[index] != -1;
}

Operand Binder::input(const Current& now, std::size_t index) {
  const std::string field = now.field + "/inputs/" + std::to_string(index);
  if (!has_input(now, index)) throw FormatError(field, "", "is missing");
  return operand(now.operation->inputs[index], field);
}

Operand Binder::output(const Current& now) { return operand(now.operation->output, now.field + "/output"); }

Operand Binder::fresh_output(const Current& now) {
  Operand result = output(now);
  for (const int view : now.operation->inputs)
    if (view != -1 && plan_.views[static_cast<std::size_t>(view)].buffer == result.buffer)
      result.fail("must not share a buffer with an input");
  return result;
}

void Binder::require_inputs(const Current& now, std::size_t least, std::size_t most) const {
  const std::size_t n = now.operation->inputs.size();
  if (n < least || n > most)
    throw FormatError(now.field + "/inputs", std::to_string(n),
                      "must be " + std::to_string(least) + ".." + std::to_string(most));
}

double Binder::number(const Current& now, const char* name, double otherwise) const {
  const auto found = now.operation->numbers.find(name);
  if (found == now.operation->numbers.end()) return otherwise;
  if (found->second.size() != 1 || !std::isfinite(found->second[0]))
    throw FormatError(now.field + "/" + name, "", "must be one finite number");
  return found->second[0];
}

std::int64_t Binder::whole(const Current& now, const char* name, std::size_t index, std::int64_t min,
                           std::int64_t max, std::int64_t otherwise) const {
  const auto found = now.operation->numbers.find(name);
  if (found == now.operation->numbers.end()) return otherwise;
  const std::string field = now.field + "/" + name + "/" + std::to_string(index);
  if (index >= found->second.size()) throw FormatError(field, "", "is missing");
  const double value = found->second[index];
  if (!(value >= static_cast<double>(min) && value <= static_cast<double>(max)) || value != std::floor(value))
    throw FormatError(field, vla_rt::number(value),
                      "must be a whole number in " + std::to_string(min) + ".." + std::to_string(max));
  return static_cast<std::int64_t>(value);
}

Function Binder::activation(const Current& now) const {
  if (now.operation->function.empty()) return Function::Copy;
  const FunctionInfo* info = find_function(now.operation->function);
  if (info == nullptr || info->num_inputs != 1)
    throw FormatError(now.field + "/function", now.operation->function, "must be a function of one operand");
  return info->function;
}

float* Binder::scratch(std::int64_t floats) {
  if (floats > scratch_size_) {
    scratch_ = arena_.floats(floats);
    scratch_size_ = floats;
  }
  return scratch_;
}

const float* Binder::zeros(std::int64_t floats) {
  if (floats > zeros_size_) {
    zeros_ = arena_.floats(floats);
    zeros_size_ = floats;
  }
  return zeros_;
}

Program bind_plan(const Plan& plan, const PlanWeights& weights, const Kernels& kernels, Arena& arena) {
  return Binder(plan, weights, kernels, arena).bind();
}

void run(const Instruction& i, const Kernels& kernels) noexcept VLA_RT_NONBLOCKING {
  using Kind = Instruction::Kind;
  switch (i.kind) {
    case Kind::Elementwise:
      kernels.elementwise(i.elementwise);
      break;
    case Kind::Matrix:
      kernels.matrix(i.matrix);
      break;
    case Kind::RoundRows:
      kernels.round_rows(i.round);
      break;
    case Kind::NarrowMatrix:
      kernels.narrow_matrix(i.narrow);
      break;
    case Kind::LayerNorm:
      kernels.layer_norm(i.rows);
      break;
    case Kind::Softmax:
      kernels.softmax(i.rows);
      break;
    case Kind::Reduce:
      kernels.reduce(i.rows);
      break;
    case Kind::GroupNorm:
      kernels.group_norm(i.group_norm);
      break;
    case Kind::Attention:
      kernels.attention(i.attention);
      break;
    case Kind::Product:
      kernels.product(i.product);
      break;
    case Kind::Gather:
      kernels.gather(i.gather);
      break;
    case Kind::Scatter:
      kernels.scatter(i.scatter);
      break;
  }
}

void run(const std::vector<Instruction>& instructions, const Kernels& kernels) noexcept VLA_RT_NONBLOCKING {
  for (const Instruction& instruction : instructions) run(instruction, kernels);
}

}  // namespace vla_rt
