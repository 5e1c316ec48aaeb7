#pragma once
// Elementwise kernels over the `Vec` of the file that includes this one.
#include "inference/kernels.hpp"
#include "inference/kernels/vector_math.hpp"

namespace vla_rt {
namespace {

inline Vec one_if(Mask m) { return select(m, set1(1.0f), set1(0.0f)); }
inline Vec zero_if(Mask m) { return select(m, set1(0.0f), set1(1.0f)); }

/// One inner loop; a stride is 0, 1 or anything, `f` takes as many operands as it wants of three.
template <class F>
inline void run_row(std::int64_t n, const float* const (&input)[3], const std::int64_t (&stride)[3],
                    float* output, std::int64_t output_stride, F f) {
  const auto plain = [](std::int64_t s) { return s == 0 || s == 1; };
  if (output_stride == 1 && plain(stride[0]) && plain(stride[1]) && plain(stride[2])) {
    const Vec fixed[3] = {set1(*input[0]), set1(*input[1]), set1(*input[2])};
    std::int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth)
      store(output + i,
            f(stride[0] != 0 ? load(input[0] + i) : fixed[0], stride[1] != 0 ? load(input[1] + i) : fixed[1],
              stride[2] != 0 ? load(input[2] + i) : fixed[2]));
    if (const int rest = static_cast<int>(n - i); rest > 0)
      store_some(output + i,
                 f(stride[0] != 0 ? load_some(input[0] + i, rest) : fixed[0],
                   stride[1] != 0 ? load_some(input[1] + i, rest) : fixed[1],
                   stride[2] != 0 ? load_some(input[2] + i, rest) : fixed[2]),
                 rest);
  } else {
    for (std::int64_t i = 0; i < n; ++i)
      store_some(
          output + i * output_stride,
          f(set1(input[0][i * stride[0]]), set1(input[1][i * stride[1]]), set1(input[2][i * stride[2]])), 1);
  }
}

/// Calls `g` with the vector form of a function, which takes three operands and uses its own.
template <class G>
inline void with_function(Function function, G g) {
#define VLA_RT_CASE(name, ...)                                                                             \
  case Function::name:                                                                                     \
    g([]([[maybe_unused]] Vec a, [[maybe_unused]] Vec b, [[maybe_unused]] Vec c) { return __VA_ARGS__; }); \
    break
  switch (function) {
    VLA_RT_CASE(Copy, a);
    VLA_RT_CASE(Relu, max_or_second(set1(0.0f), a));
    VLA_RT_CASE(Gelu, gelu(a));
    VLA_RT_CASE(GeluTanh, gelu_tanh(a));
    VLA_RT_CASE(Silu, mul(a, sigmoid(a)));
    VLA_RT_CASE(Mish, mish(a));
    VLA_RT_CASE(Tanh, hyperbolic_tangent(a));
    VLA_RT_CASE(Sigmoid, sigmoid(a));
    VLA_RT_CASE(Softplus, softplus(a));
    VLA_RT_CASE(Exp, exponential(a));
    VLA_RT_CASE(Log, each<logf>(a));
    VLA_RT_CASE(Sqrt, root(a));
    VLA_RT_CASE(Rsqrt, div(set1(1.0f), root(a)));
    VLA_RT_CASE(Reciprocal, div(set1(1.0f), a));
    VLA_RT_CASE(Negate, sub(set1(0.0f), a));
    VLA_RT_CASE(Absolute, absolute(a));
    VLA_RT_CASE(Square, mul(a, a));
    VLA_RT_CASE(Sine, each<sinf>(a));
    VLA_RT_CASE(Cosine, each<cosf>(a));
    VLA_RT_CASE(Truncate, each<truncf>(a));
    VLA_RT_CASE(Not, one_if(equal(a, set1(0.0f))));
    VLA_RT_CASE(Add, add(a, b));
    VLA_RT_CASE(Subtract, sub(a, b));
    VLA_RT_CASE(Multiply, mul(a, b));
    VLA_RT_CASE(Divide, div(a, b));
    VLA_RT_CASE(Maximum, max_or_second(b, a));
    VLA_RT_CASE(Minimum, min_or_second(b, a));
    VLA_RT_CASE(Power, power(a, b));
    VLA_RT_CASE(Less, one_if(less(a, b)));
    VLA_RT_CASE(LessEqual, one_if(less_equal(a, b)));
    VLA_RT_CASE(Equal, one_if(equal(a, b)));
    VLA_RT_CASE(NotEqual, zero_if(equal(a, b)));
    VLA_RT_CASE(Where, select(equal(a, set1(0.0f)), c, b));
    case Function::kCount:
      break;
  }
#undef VLA_RT_CASE
}

inline void elementwise(const ElementwiseArgs& args) noexcept {
  with_function(args.function, [&](auto f) {
    const std::int64_t stride[3] = {args.input_stride[0][3], args.input_stride[1][3],
                                    args.input_stride[2][3]};
    for (std::int64_t i = 0; i < args.extent[0]; ++i)
      for (std::int64_t j = 0; j < args.extent[1]; ++j)
        for (std::int64_t k = 0; k < args.extent[2]; ++k) {
          const float* input[3];
          for (int n = 0; n < 3; ++n) {
            const std::int64_t* s = args.input_stride[n];
            input[n] = args.input[n] + i * s[0] + j * s[1] + k * s[2];
          }
          const std::int64_t* s = args.output_stride;
          run_row(args.extent[3], input, stride, args.output + i * s[0] + j * s[1] + k * s[2], s[3], f);
        }
  });
}

/// f over rows in place.
inline void activate(Function function, float* x, std::int64_t stride, int num_rows, std::int64_t length) {
  if (function == Function::Copy) return;
  with_function(function, [&](auto f) {
    for (int r = 0; r < num_rows; ++r) {
      float* row = x + r * stride;
      run_row(length, {row, row, row}, {1, 1, 1}, row, 1, f);
    }
  });
}

}  // namespace
}  // namespace vla_rt
