#include "inference/reverse_plan.hpp"

#include <algorithm>
#include <utility>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::uint8_t kWritten = 1, kFollows = 2, kRead = 4;

std::int64_t count(const std::vector<std::int64_t>& shape) {
  std::int64_t n = 1;
  for (const std::int64_t extent : shape) n *= extent;
  return n;
}

std::vector<std::int64_t> dense_strides(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

/// Calls `use` with the place of every element of a view, each once where it repeats them.
template <class Use>
void for_each_element(const PlanView& view, const Use& use, std::size_t axis = 0, std::int64_t at = 0) {
  if (axis == 0) at = view.offset;
  if (axis == view.shape.size()) return use(static_cast<std::size_t>(at));
  const std::int64_t extent = view.strides[axis] == 0 ? 1 : view.shape[axis];
  for (std::int64_t i = 0; i < extent; ++i)
    for_each_element(view, use, axis + 1, at + i * view.strides[axis]);
}

bool ends_with_activation(const PlanOperation& operation) {
  return operation.name != "elementwise" && operation.name != "reduce" && !operation.function.empty();
}

bool writes_in_place(const Plan& plan, const PlanOperation& operation) {
  const int buffer = plan.views[static_cast<std::size_t>(operation.output)].buffer;
  return std::ranges::any_of(operation.inputs, [&](int v) {
    return v != -1 && plan.views[static_cast<std::size_t>(v)].buffer == buffer;
  });
}

}  // namespace

ReverseBuilder::ReverseBuilder(const Plan& plan, const PlanWeights& weights)
    : out_{{}, {}, weights}, plan_(widened(plan, out_.weights, out_.constants)) {
  depends_.resize(plan_.buffers.size());
  gradient_.resize(plan_.buffers.size(), -1);
  state_.resize(plan_.buffers.size());
  out_.plan.buffers = plan_.buffers;
  out_.plan.views = plan_.views;
}

ReversePlan ReverseBuilder::build() {
  std::size_t input = 0, answer = 0;
  for (std::size_t b = 0; b < plan_.buffers.size(); ++b) {
    PlanBuffer& buffer = out_.plan.buffers[b];
    if (buffer.role == BufferRole::Input) input = b;
    if (buffer.role == BufferRole::Answer) answer = b;
    if (buffer.role == BufferRole::Observation || buffer.role == BufferRole::Time)
      buffer.role = BufferRole::Temporary;  // of the other's stages, so used by nobody
    if (buffer.role == BufferRole::Context) buffer.role = BufferRole::Observation;
    if (buffer.role == BufferRole::Answer) buffer.role = BufferRole::Temporary;
  }
  depends_[input] = true;
  const std::int64_t size = plan_.buffers[input].size, answers = plan_.buffers[answer].size;
  out_.plan.buffers[input].size = size + answers;

  const auto& step = plan_.stages[static_cast<std::size_t>(Stage::Step)];
  for (std::size_t i = 0; i < step.size(); ++i) {
    note_use(step[i], "plan.json#/step/" + std::to_string(i) + " (" + step[i].name + ")");
    copy_forward(step[i]);
  }
  const int product = add_view(add_buffer(BufferRole::Answer, size), 0, {size}, {1});
  if (!depends_[answer]) {
    emit("elementwise", {constant(0)}, product, "copy");
    return std::move(out_);
  }
  const int seed = gradient({static_cast<int>(answer), 0, {answers}, {1}});
  emit("elementwise", {add_view(static_cast<int>(input), size, {answers}, {1})}, seed, "copy");
  for (std::size_t i = step.size(); i-- > 0;) reverse(i);
  emit("elementwise", {gradient({static_cast<int>(input), 0, {size}, {1}})}, product, "copy");
  return std::move(out_);
}

// The same operation; its activation apart, so that what it was applied to is known.
void ReverseBuilder::copy_forward(const PlanOperation& operation) {
  auto& operations = out_.plan.stages[static_cast<std::size_t>(Stage::Step)];
  preactivation_.push_back(-1);
  if (!ends_with_activation(operation) || !depends(operation.output)) {
    operations.push_back(operation);
    return;
  }
  const int before = fresh(shape(operation.output));
  PlanOperation plain = operation;
  plain.function.clear();
  plain.output = before;
  const bool has_residual =
      operation.name == "group_norm" && operation.inputs.size() > 5 && operation.inputs[5] != -1;
  if (has_residual) plain.inputs[5] = -1;
  operations.push_back(plain);
  emit("elementwise", {before}, operation.output, operation.function);
  if (has_residual) emit("elementwise", {operation.output, operation.inputs[5]}, operation.output, "add");
  preactivation_.back() = before;
}

// What is written must stay until the way back.
void ReverseBuilder::note_use(const PlanOperation& operation, const std::string& field) {
  now_ = field;
  const PlanView& output = plan_.views[static_cast<std::size_t>(operation.output)];
  bool follows = false;
  for (std::size_t i = 0; i < operation.inputs.size(); ++i) follows = follows || depends(operation, i);
  const bool in_place = writes_in_place(plan_, operation);
  if (in_place && follows && operation.function != "add" && operation.function != "subtract")
    refuse("is written in place, by an operation other than add and subtract");
  for (const int v : operation.inputs) {
    if (v == -1) continue;
    const PlanView& in = plan_.views[static_cast<std::size_t>(v)];
    auto& state = state_[static_cast<std::size_t>(in.buffer)];
    if (in.buffer == output.buffer || !depends_[static_cast<std::size_t>(in.buffer)]) continue;
    state.resize(static_cast<std::size_t>(plan_.buffers[static_cast<std::size_t>(in.buffer)].size));
    for_each_element(in, [&](std::size_t at) { state[at] |= kRead; });
  }
  auto& state = state_[static_cast<std::size_t>(output.buffer)];
  state.resize(static_cast<std::size_t>(plan_.buffers[static_cast<std::size_t>(output.buffer)].size));
  bool overwritten = false;
  for_each_element(output, [&](std::size_t at) {
    overwritten = overwritten || (state[at] & kRead) != 0 || (!in_place && (state[at] & kFollows) != 0);
    state[at] |= static_cast<std::uint8_t>(kWritten | (follows ? kFollows : 0));
  });
  if (overwritten) refuse("is written over what the way back needs");
  if (follows) depends_[static_cast<std::size_t>(output.buffer)] = true;
}

void ReverseBuilder::reverse(std::size_t index) {
  const PlanOperation& operation = plan_.stages[static_cast<std::size_t>(Stage::Step)][index];
  now_ = "plan.json#/step/" + std::to_string(index) + " (" + operation.name + ")";
  bool needed = false;
  for (std::size_t i = 0; i < operation.inputs.size(); ++i) needed = needed || depends(operation, i);
  if (!needed || gradient_[static_cast<std::size_t>(view(operation.output).buffer)] == -1) return;
  int dy = gradient(view(operation.output));
  const std::string& name = operation.name;
  if (name == "elementwise") return reverse_elementwise(operation, dy);
  if (const int before = preactivation_[index]; before != -1) {
    if (name == "group_norm" && depends(operation, 5)) accumulate(view(operation.inputs[5]), dy);
    // With a residual added in place, what the activation answered is gone: it is made again.
    const bool added = name == "group_norm" && operation.inputs.size() > 5 && operation.inputs[5] != -1;
    const int y = added ? calculate(operation.function.c_str(), {before}, shape(before)) : operation.output;
    dy = chain(operation.function, before, y, dy);
    if (dy == -1) return;
  } else if (name == "group_norm" && depends(operation, 5)) {
    accumulate(view(operation.inputs[5]), dy);
  }
  if (name == "linear") return reverse_linear(operation, dy);
  if (name == "convolution") return reverse_convolution(operation, dy);
  if (name == "transposed_convolution") return reverse_transposed_convolution(operation, dy);
  if (name == "layer_norm") return reverse_layer_norm(operation, dy);
  if (name == "group_norm") return reverse_group_norm(operation, dy);
  if (name == "softmax") return reverse_softmax(operation, dy);
  if (name == "reduce") return reverse_reduce(operation, dy);
  if (name == "product") return reverse_product(operation, dy);
  if (name == "attention") return reverse_attention(operation, dy);
  refuse("has no derivative in this engine");
}

bool ReverseBuilder::depends(int view) const {
  return view != -1 && depends_[static_cast<std::size_t>(plan_.views[static_cast<std::size_t>(view)].buffer)];
}

bool ReverseBuilder::depends(const PlanOperation& operation, std::size_t input) const {
  return input < operation.inputs.size() && depends(operation.inputs[input]);
}

void ReverseBuilder::refuse(const std::string& why) const {
  throw ModelError("vjp, " + now_, "",
                   why + "; use jacobian finite_differences or identity, or the torchscript backend");
}

int ReverseBuilder::add_buffer(BufferRole role, std::int64_t size) {
  out_.plan.buffers.push_back({role, size, {}});
  return static_cast<int>(out_.plan.buffers.size()) - 1;
}

int ReverseBuilder::add_view(int buffer, std::int64_t offset, Shape shape, Shape strides) {
  out_.plan.views.push_back({buffer, offset, std::move(shape), std::move(strides)});
  return static_cast<int>(out_.plan.views.size()) - 1;
}

int ReverseBuilder::fresh(const Shape& shape) {
  const Shape own = shape;  // which may be of the list that grows
  return add_view(add_buffer(BufferRole::Temporary, count(own)), 0, own, dense_strides(own));
}

int ReverseBuilder::constant(std::vector<float> values, const Shape& shape) {
  out_.constants.push_back(std::move(values));
  const std::string name = "vjp/" + std::to_string(out_.constants.size());
  out_.weights[name] = out_.constants.back();
  out_.plan.buffers.push_back({BufferRole::Weight, count(shape), name});
  return add_view(static_cast<int>(out_.plan.buffers.size()) - 1, 0, shape, dense_strides(shape));
}

int ReverseBuilder::constant(float value) {
  const auto [found, is_new] = constants_.try_emplace(value, -1);
  if (is_new) found->second = constant(std::vector{value}, {1});
  return found->second;
}

void ReverseBuilder::emit(const std::string& name, std::vector<int> inputs, int output,
                          const std::string& function, Numbers numbers) {
  out_.plan.stages[static_cast<std::size_t>(Stage::Step)].push_back(
      {name, std::move(inputs), output, function, std::move(numbers)});
}

int ReverseBuilder::calculate(const char* function, std::vector<int> inputs, const Shape& shape) {
  const int result = fresh(shape);
  emit("elementwise", std::move(inputs), result, function);
  return result;
}

int ReverseBuilder::gradient(const PlanView& of) {
  const PlanView wanted = of;
  int& buffer = gradient_[static_cast<std::size_t>(wanted.buffer)];
  if (buffer == -1) {
    const std::int64_t size = plan_.buffers[static_cast<std::size_t>(wanted.buffer)].size;
    buffer = add_buffer(BufferRole::Temporary, size);
    emit("elementwise", {constant(0)}, add_view(buffer, 0, {size}, {1}), "copy");
  }
  return add_view(buffer, wanted.offset, wanted.shape, wanted.strides);
}

void ReverseBuilder::accumulate(const PlanView& of, int contribution) {
  const PlanView target = of;
  const PlanView given = view(contribution);
  // Axes along which the target repeats its elements, and those that it lacks.
  const std::size_t missing = given.shape.size() - target.shape.size();
  PlanView kept{target.buffer, target.offset, {}, {}}, from{given.buffer, given.offset, {}, {}};
  Shape repeats, repeat_strides;
  for (std::size_t d = 0; d < given.shape.size(); ++d) {
    const bool repeated = d < missing || target.strides[d - missing] == 0 || target.shape[d - missing] == 1;
    if (given.shape[d] == 1) continue;
    (repeated ? repeats : from.shape).push_back(given.shape[d]);
    (repeated ? repeat_strides : from.strides).push_back(given.strides[d]);
    if (repeated) continue;
    kept.shape.push_back(target.shape[d - missing]);
    kept.strides.push_back(target.strides[d - missing]);
  }
  int summand = add_view(from.buffer, from.offset, from.shape, from.strides);
  if (!repeats.empty()) {
    const std::int64_t rows = count(from.shape), length = count(repeats);
    Shape all = from.shape, all_strides = from.strides;
    all.insert(all.end(), repeats.begin(), repeats.end());
    all_strides.insert(all_strides.end(), repeat_strides.begin(), repeat_strides.end());
    const int together = calculate("copy", {add_view(from.buffer, from.offset, all, all_strides)}, all);
    const int sums = fresh({rows});
    emit("reduce", {add_view(view(together).buffer, 0, {rows, length}, {length, 1})}, sums, "sum");
    summand = add_view(view(sums).buffer, 0, from.shape, dense_strides(from.shape));
  }
  const int total = gradient(kept);
  emit("elementwise", {total, summand}, total, "add");
}

ReversePlan reverse_plan(const Plan& plan, const PlanWeights& weights) {
  return ReverseBuilder(plan, weights).build();
}

}  // namespace vla_rt
