// Derivatives of layers, by the engine's own operations.
#include <algorithm>

#include "inference/reverse_plan.hpp"

namespace vla_rt {
namespace {

std::int64_t number(const PlanOperation& operation, const char* name, std::size_t index,
                    std::int64_t otherwise) {
  const auto found = operation.numbers.find(name);
  return found == operation.numbers.end() ? otherwise : static_cast<std::int64_t>(found->second.at(index));
}

double number(const PlanOperation& operation, const char* name, double otherwise) {
  const auto found = operation.numbers.find(name);
  return found == operation.numbers.end() ? otherwise : found->second.at(0);
}

bool has(const PlanOperation& operation, std::size_t input) {
  return input < operation.inputs.size() && operation.inputs[input] != -1;
}

}  // namespace

int ReverseBuilder::folded(int index) {
  const PlanView v = view(index);
  std::int64_t rows = 1, stride = 0;
  for (std::size_t d = v.shape.size() - 1; d-- > 0;) {
    if (v.shape[d] == 1) continue;
    if (rows == 1) stride = v.strides[d];
    rows *= v.shape[d];
  }
  return add_view(v.buffer, v.offset, {rows, v.shape.back()}, {stride, 1});
}

void ReverseBuilder::reverse_bias(const PlanOperation& operation, int dy) {
  if (!depends(operation, 2)) return;
  const PlanView bias = view(operation.inputs[2]);
  const std::int64_t n = view(dy).shape.back();
  accumulate({bias.buffer, bias.offset, {n}, {1}}, folded(dy));
}

void ReverseBuilder::reverse_linear(const PlanOperation& operation, int dy) {
  reverse_bias(operation, dy);
  if (!depends(operation, 0)) return;
  const PlanView w = view(operation.inputs[1]), x = view(operation.inputs[0]);
  const int across = add_view(w.buffer, w.offset, {w.shape[1], w.shape[0]}, {w.strides[1], w.strides[0]});
  const int dx = fresh(x.shape);
  emit("linear", {dy, across}, dx);
  accumulate(x, dx);
}

// The adjoint of a convolution of stride 1 is one with its kernel turned round, that of another stride a
// transposed one.
void ReverseBuilder::reverse_convolution(const PlanOperation& operation, int dy) {
  reverse_bias(operation, dy);
  if (!depends(operation, 0)) return;
  const PlanView w = view(operation.inputs[1]), x = view(operation.inputs[0]), d = view(dy);
  std::int64_t stride[2], padding[2], dilation[2];
  for (std::size_t a = 0; a < 2; ++a) {
    stride[a] = number(operation, "stride", a, 1);
    padding[a] = number(operation, "padding", a, 0);
    dilation[a] = number(operation, "dilation", a, 1);
  }
  const int dx = fresh(x.shape);
  if (stride[0] == 1 && stride[1] == 1) {
    std::vector<double> turned(2), kept(2);
    for (std::size_t a = 0; a < 2; ++a) {
      const std::int64_t outer = dilation[a] * (w.shape[a + 2] - 1) - padding[a];
      if (outer < 0) refuse("pads more than its kernel reaches");
      turned[a] = static_cast<double>(outer);
      kept[a] = static_cast<double>(dilation[a]);
    }
    const std::int64_t last = (w.shape[2] - 1) * w.strides[2] + (w.shape[3] - 1) * w.strides[3];
    const int kernel = add_view(w.buffer, w.offset + last, {w.shape[1], w.shape[0], w.shape[2], w.shape[3]},
                                {w.strides[1], w.strides[0], -w.strides[2], -w.strides[3]});
    emit("convolution", {dy, kernel}, dx, "", {{"padding", turned}, {"dilation", kept}});
    return accumulate(x, dx);
  }
  const std::size_t flat = w.shape[2] == 1 && x.shape[0] == 1 ? 0 : 1, along = 1 - flat;
  if (w.shape[flat + 2] != 1 || x.shape[flat] != 1 || padding[flat] != 0 || dilation[along] != 1 ||
      w.shape[along + 2] < stride[along])
    refuse("has a stride above 1 in two dimensions, or above its kernel, or with a dilation");
  const int rows =
      add_view(d.buffer, d.offset, {d.shape[along], d.shape[2]}, {d.strides[along], d.strides[2]});
  const int kernel = add_view(w.buffer, w.offset, {w.shape[0], w.shape[1], w.shape[along + 2]},
                              {w.strides[0], w.strides[1], w.strides[along + 2]});
  const int result = add_view(view(dx).buffer, 0, {x.shape[along], x.shape[2]}, {x.shape[2], 1});
  emit(
      "transposed_convolution", {rows, kernel}, result, "",
      {{"stride", {static_cast<double>(stride[along])}}, {"padding", {static_cast<double>(padding[along])}}});
  accumulate(x, dx);
}

void ReverseBuilder::reverse_transposed_convolution(const PlanOperation& operation, int dy) {
  reverse_bias(operation, dy);
  if (!depends(operation, 0)) return;
  const PlanView w = view(operation.inputs[1]), x = view(operation.inputs[0]), d = view(dy);
  const double stride = static_cast<double>(number(operation, "stride", 0, 1));
  const double padding = static_cast<double>(number(operation, "padding", 0, 0));
  const int rows = add_view(d.buffer, d.offset, {1, d.shape[0], d.shape[1]},
                            {d.shape[0] * d.strides[0], d.strides[0], d.strides[1]});
  const int kernel = add_view(w.buffer, w.offset, {w.shape[0], w.shape[1], 1, w.shape[2]},
                              {w.strides[0], w.strides[1], w.shape[2] * w.strides[2], w.strides[2]});
  const int dx = fresh({1, x.shape[0], x.shape[1]});
  emit("convolution", {rows, kernel}, dx, "", {{"stride", {1, stride}}, {"padding", {0, padding}}});
  accumulate(x, add_view(view(dx).buffer, 0, x.shape, {x.shape[1], 1}));
}

int ReverseBuilder::normalised_gradient(int x, int g, double epsilon) {
  const Shape all = shape(x);
  const std::int64_t rows = all[0];
  const auto mean = [&](int of) {
    const int means = fresh({rows});
    emit("reduce", {of}, means, "mean");
    return add_view(view(means).buffer, 0, {rows, 1}, {1, 1});
  };
  const int centred = calculate("subtract", {x, mean(x)}, all);
  const int variance = mean(calculate("square", {centred}, all));
  const int raised = calculate("add", {variance, constant(static_cast<float>(epsilon))}, {rows, 1});
  const int inverse = calculate("rsqrt", {raised}, {rows, 1});
  const int normal = calculate("multiply", {centred, inverse}, all);
  const int along = calculate("multiply", {normal, mean(multiply(g, normal))}, all);
  const int rest = calculate("subtract", {calculate("subtract", {g, mean(g)}, all), along}, all);
  return calculate("multiply", {rest, inverse}, all);
}

void ReverseBuilder::reverse_layer_norm(const PlanOperation& operation, int dy) {
  if (depends(operation, 1) || depends(operation, 2)) refuse("has a weight or bias that follows from x");
  const int x = folded(operation.inputs[0]);
  int g = folded(dy);
  if (has(operation, 1)) {
    const PlanView w = view(operation.inputs[1]);
    const int row = add_view(w.buffer, w.offset, {shape(x)[1]}, {1});
    g = calculate("multiply", {g, row}, shape(x));
  }
  const PlanView rows = view(x);
  accumulate(rows, normalised_gradient(x, g, number(operation, "epsilon", 1e-5)));
}

void ReverseBuilder::reverse_group_norm(const PlanOperation& operation, int dy) {
  for (std::size_t i = 1; i < 5; ++i)
    if (depends(operation, i)) refuse("has a weight, bias, scale or shift that follows from x");
  if (!depends(operation, 0)) return;
  const PlanView x = view(folded(operation.inputs[0]));
  int g = folded(dy);
  for (const std::size_t i : {1, 3}) {
    if (!has(operation, i)) continue;
    const PlanView w = view(operation.inputs[i]);
    const int row = add_view(w.buffer, w.offset, {x.shape[1]}, {1});
    g = calculate("multiply", {g, row}, x.shape);
  }
  // (T, C) as (groups, T, C / groups), each group a row.
  const std::int64_t T = x.shape[0], groups = number(operation, "groups", 0, 1), own = x.shape[1] / groups;
  const auto by_group = [&](const PlanView& v) {
    return PlanView{v.buffer, v.offset, {groups, T, own}, {own, v.strides[0], 1}};
  };
  const auto gathered = [&](const PlanView& v) {
    const PlanView w = by_group(v);
    const int copy = calculate("copy", {add_view(w.buffer, w.offset, w.shape, w.strides)}, w.shape);
    return add_view(view(copy).buffer, 0, {groups, T * own}, {T * own, 1});
  };
  const int dx = normalised_gradient(gathered(x), gathered(view(g)), number(operation, "epsilon", 1e-5));
  accumulate(by_group(x), add_view(view(dx).buffer, 0, {groups, T, own}, {T * own, own, 1}));
}

int ReverseBuilder::softmax_gradient(int y, int dy) {
  const Shape all = shape(y);
  const int weighted = multiply(dy, y);
  const std::int64_t rows = shape(folded(weighted))[0];
  const int sums = fresh({rows});
  emit("reduce", {weighted}, sums, "sum");
  Shape column = all, strides(all.size(), 1);
  column.back() = 1;
  for (std::size_t d = all.size(); d-- > 1;) strides[d - 1] = strides[d] * column[d];
  const int sum = add_view(view(sums).buffer, 0, column, strides);
  return multiply(calculate("subtract", {dy, sum}, all), y);
}

void ReverseBuilder::reverse_softmax(const PlanOperation& operation, int dy) {
  accumulate(view(operation.inputs[0]), softmax_gradient(operation.output, dy));
}

void ReverseBuilder::reverse_reduce(const PlanOperation& operation, int dy) {
  if (operation.function != "sum" && operation.function != "mean")
    refuse("of " + operation.function + " has no derivative in this engine");
  const PlanView x = view(folded(operation.inputs[0])), d = view(dy);
  const float factor = operation.function == "mean" ? 1.0F / static_cast<float>(x.shape[1]) : 1.0F;
  const int column = add_view(d.buffer, d.offset, {x.shape[0], 1}, {d.strides[0], 1});
  accumulate(x, calculate("multiply", {column, constant(factor)}, x.shape));
}

int ReverseBuilder::transposed(int matrix) {
  const PlanView m = view(matrix);
  return add_view(m.buffer, m.offset, {m.shape[0], m.shape[2], m.shape[1]},
                  {m.strides[0], m.strides[2], m.strides[1]});
}

int ReverseBuilder::transposed_copy(int matrix) {
  const int across = transposed(matrix);
  return calculate("copy", {across}, shape(across));
}

int ReverseBuilder::product(int a, int b) {
  const int result = fresh({shape(a)[0], shape(a)[1], shape(b)[2]});
  emit("product", {a, b}, result);
  return result;
}

void ReverseBuilder::reverse_product(const PlanOperation& operation, int dy) {
  const int a = operation.inputs[0], b = operation.inputs[1];
  if (depends(operation, 0)) {
    const int da = product(dy, transposed_copy(b));
    accumulate(view(a), da);
  }
  if (depends(operation, 1)) {
    const int db = product(transposed(a), dy);
    accumulate(view(b), db);
  }
}

void ReverseBuilder::reverse_attention(const PlanOperation& operation, int dy) {
  if (depends(operation, 3)) refuse("has a mask that follows from x");
  const int q = operation.inputs[0], k = operation.inputs[1], v = operation.inputs[2];
  const Shape scores{shape(q)[0], shape(q)[1], shape(k)[1]};
  const auto scale = static_cast<float>(number(operation, "scale", 1.0));
  int logits = calculate("multiply", {product(q, transposed_copy(k)), constant(scale)}, scores);
  if (has(operation, 3)) logits = calculate("add", {logits, operation.inputs[3]}, scores);
  if (number(operation, "causal", 0.0) != 0) {
    std::vector<float> hidden(static_cast<std::size_t>(scores[1] * scores[2]));
    for (std::int64_t i = 0; i < scores[1]; ++i)
      for (std::int64_t j = i + 1; j < scores[2]; ++j)
        hidden[static_cast<std::size_t>(i * scores[2] + j)] = -1e30F;
    logits = calculate("add", {logits, constant(std::move(hidden), {scores[1], scores[2]})}, scores);
  }
  const int weights = fresh(scores);
  emit("softmax", {logits}, weights);
  if (depends(operation, 2)) {
    const int dv = product(transposed(weights), dy);
    accumulate(view(v), dv);
  }
  if (!depends(operation, 0) && !depends(operation, 1)) return;
  const int by_weight = product(dy, transposed_copy(v));
  const int by_score = calculate("multiply", {softmax_gradient(weights, by_weight), constant(scale)}, scores);
  if (depends(operation, 0)) {
    const int dq = product(by_score, k);
    accumulate(view(q), dq);
  }
  if (depends(operation, 1)) {
    const int dk = product(transposed(by_score), q);
    accumulate(view(k), dk);
  }
}

}  // namespace vla_rt
