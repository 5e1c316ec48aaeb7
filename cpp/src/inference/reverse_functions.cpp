// Derivatives of elementwise functions.
#include <cmath>
#include <numbers>

#include "inference/reverse_plan.hpp"

namespace vla_rt {

int ReverseBuilder::chain(const std::string& function, int x, int y, int dy) {
  const auto like = [&](const char* name, std::vector<int> inputs) {
    return calculate(name, std::move(inputs), shape(y));
  };
  const auto one_minus = [&](int a) { return like("subtract", {constant(1), a}); };
  if (function == "copy") return dy;
  if (function == "negate") return like("negate", {dy});
  if (function == "relu") return multiply(like("less", {constant(0), x}), dy);
  if (function == "tanh") return multiply(one_minus(like("square", {y})), dy);
  if (function == "sigmoid") return multiply(multiply(y, one_minus(y)), dy);
  if (function == "softplus") return multiply(like("sigmoid", {x}), dy);
  if (function == "exp") return multiply(y, dy);
  if (function == "log") return like("divide", {dy, x});
  if (function == "sqrt") return like("divide", {scaled(dy, 0.5F), y});
  if (function == "rsqrt") return multiply(scaled(multiply(y, like("square", {y})), -0.5F), dy);
  if (function == "reciprocal") return multiply(like("negate", {like("square", {y})}), dy);
  if (function == "square") return multiply(scaled(x, 2), dy);
  if (function == "sine") return multiply(like("cosine", {x}), dy);
  if (function == "cosine") return multiply(like("negate", {like("sine", {x})}), dy);
  if (function == "absolute") {
    const int sign = like("subtract", {like("less", {constant(0), x}), like("less", {x, constant(0)})});
    return multiply(sign, dy);
  }
  if (function == "silu") {  // s + x s (1 - s), x s being y
    const int s = like("sigmoid", {x});
    return multiply(add(s, multiply(y, one_minus(s))), dy);
  }
  if (function == "mish") {  // t + x s (1 - t^2), t = tanh(softplus(x)), s = sigmoid(x)
    const int t = like("tanh", {like("softplus", {x})}), s = like("sigmoid", {x});
    const int slope = multiply(multiply(like("multiply", {x, s}), one_minus(like("square", {t}))), dy);
    return add(multiply(t, dy), slope);
  }
  if (function == "gelu") {
    // Phi(x) + x phi(x); Phi is y / x, and its series where x is small.
    constexpr auto kDensity = static_cast<float>(0.5 * std::numbers::inv_sqrtpi * std::numbers::sqrt2);
    const int small = like("less", {like("absolute", {x}), constant(1e-3F)});
    const int divisor = like("where", {small, constant(1), x});
    const int series = like("add", {scaled(x, kDensity), constant(0.5F)});
    const int mass = like("where", {small, series, like("divide", {y, divisor})});
    const int density = scaled(like("exp", {scaled(like("square", {x}), -0.5F)}), kDensity);
    return multiply(add(mass, multiply(x, density)), dy);
  }
  if (function == "gelu_tanh") {  // (1 + t)/2 + x (1 - t^2)/2 k (1 + 3 a x^2), t = tanh(k (x + a x^3))
    constexpr auto k = static_cast<float>(std::numbers::sqrt2 * std::numbers::inv_sqrtpi);
    constexpr float a = 0.044715F;
    const int square = like("square", {x});
    const int inner = multiply(scaled(x, k), like("add", {scaled(square, a), constant(1)}));
    const int t = like("tanh", {inner});
    const int rate = scaled(like("add", {scaled(square, 3 * a), constant(1)}), 0.5F * k);
    const int bend = multiply(multiply(like("multiply", {x, rate}), one_minus(like("square", {t}))), dy);
    return add(multiply(scaled(like("add", {t, constant(1)}), 0.5F), dy), bend);
  }
  if (function == "truncate" || function == "not") return -1;
  refuse("of " + function + " has no derivative in this engine");
}

void ReverseBuilder::reverse_elementwise(const PlanOperation& operation, int dy) {
  const std::string& function = operation.function;
  const std::vector<int>& in = operation.inputs;
  const int y = operation.output;
  const Shape all = shape(y);
  const auto is_output = [&](std::size_t i) { return view(in[i]).buffer == view(y).buffer; };
  const auto give = [&](std::size_t i, const auto& contribution) {
    if (!depends(operation, i)) return;
    if (is_output(i)) {  // in place: its gradient is where dy is, and the same
      if (i == 1 && function == "subtract") refuse("is written in place where it is subtracted");
      return;
    }
    if (const int c = contribution(); c != -1) accumulate(view(in[i]), c);
  };
  const auto same = [&] { return dy; };
  const auto negated = [&] { return calculate("negate", {dy}, all); };
  if (in.size() == 1) return give(0, [&] { return chain(function, in[0], y, dy); });
  if (function == "add") {
    give(0, same);
    return give(1, same);
  }
  if (function == "subtract") {
    give(0, same);
    return give(1, negated);
  }
  if (function == "multiply") {
    give(0, [&] { return calculate("multiply", {dy, in[1]}, all); });
    return give(1, [&] { return calculate("multiply", {dy, in[0]}, all); });
  }
  if (function == "divide") {
    give(0, [&] { return calculate("divide", {dy, in[1]}, all); });
    return give(1, [&] { return calculate("divide", {multiply(negated(), y), in[1]}, all); });
  }
  if (function == "maximum" || function == "minimum") {
    const int second = function == "maximum" ? calculate("less", {in[0], in[1]}, all)
                                             : calculate("less", {in[1], in[0]}, all);
    give(0, [&] { return calculate("where", {second, constant(0), dy}, all); });
    return give(1, [&] { return multiply(second, dy); });
  }
  if (function == "power") {
    if (depends(operation, 1)) refuse("of power has no derivative by its exponent in this engine");
    return give(0, [&] {
      const int less = calculate("subtract", {in[1], constant(1)}, shape(in[1]));
      const int power = calculate("power", {in[0], less}, all);
      return multiply(calculate("multiply", {power, in[1]}, all), dy);
    });
  }
  if (function == "where") {
    give(1, [&] { return calculate("where", {in[0], dy, constant(0)}, all); });
    return give(2, [&] { return calculate("where", {in[0], constant(0), dy}, all); });
  }
  // Comparisons are flat.
}

}  // namespace vla_rt
