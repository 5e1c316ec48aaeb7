#pragma once
// Functions of the network's activations over `Vec`, which a vector_<set>.hpp included before this one
// defines. NaN in gives NaN out: `min_or_second` and `max_or_second` answer their second operand when either
// is NaN.
#include <math.h>

namespace vla_rt {
namespace {

inline Vec polynomial(Vec, Vec p) { return p; }
template <class... Rest>
inline Vec polynomial(Vec x, Vec p, float next, Rest... rest) {
  return polynomial(x, fma(p, x, set1(next)), rest...);
}

/// Relative error below 2e-7; the argument is taken to -87.3 .. 88.7, where the result is a normal number.
inline Vec exponential(Vec x) {
  x = max_or_second(set1(-87.3f), min_or_second(set1(88.7f), x));
  const Vec n = rounded(mul(x, set1(1.44269504f)));
  Vec r = fma(n, set1(-0.693359375f), x);  // log 2 in two parts, the first exact in products with n
  r = fma(n, set1(2.12194440e-4f), r);
  const Vec p = polynomial(r, set1(1.9875691500e-4f), 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                           1.6666665459e-1f, 5.0000001201e-1f);
  return times_power_of_two(fma(p, mul(r, r), add(r, set1(1.0f))), n);
}

/// Of a positive normal number; of anything else what the machine makes of it. Cephes' polynomial.
inline Vec logarithm(Vec x) {
  Vec e = exponent_of(x), m = mantissa_of(x);
  const Mask upper = less(set1(1.41421356f), m);
  m = select(upper, mul(m, set1(0.5f)), m);
  e = select(upper, add(e, set1(1.0f)), e);
  const Vec f = sub(m, set1(1.0f)), z = mul(f, f);
  Vec y =
      polynomial(f, set1(7.0376836292e-2f), -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f,
                 1.4249322787e-1f, -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f);
  y = mul(mul(y, f), z);
  y = fma(e, set1(-2.12194440e-4f), y);
  y = fma(z, set1(-0.5f), y);
  return fma(e, set1(0.693359375f), add(f, y));
}

inline Vec sigmoid(Vec x) { return div(set1(1.0f), add(set1(1.0f), exponential(sub(set1(0.0f), x)))); }

inline Vec hyperbolic_tangent(Vec x) {
  const Vec z = mul(x, x), a = absolute(x);
  const Vec small = polynomial(z, set1(-5.70498872745e-3f), 2.06390887954e-2f, -5.37397155531e-2f,
                               1.33314422036e-1f, -3.33332819422e-1f);
  const Vec e = exponential(add(a, a));
  Vec large = sub(set1(1.0f), div(set1(2.0f), add(e, set1(1.0f))));
  large = select(less(x, set1(0.0f)), sub(set1(0.0f), large), large);
  return select(less(a, set1(0.625f)), fma(mul(small, z), x, x), large);
}

/// log(1 + e^x)
inline Vec softplus(Vec x) {
  const Vec e = exponential(sub(set1(0.0f), absolute(x))), sum = add(set1(1.0f), e);
  // log(1 + e) = log(s) - ((s - 1) - e) / s, the second term for what rounding took from s
  const Vec lost = div(sub(sub(sum, set1(1.0f)), e), sum);
  return add(max_or_second(set1(0.0f), x), sub(logarithm(sum), lost));
}

/// x tanh(log(1 + e^x)) = x n / (n + 2) with n = e^x (e^x + 2)
inline Vec mish(Vec x) {
  const Vec e = exponential(min_or_second(set1(30.0f), x));
  const Vec n = mul(e, add(e, set1(2.0f)));
  return mul(x, div(n, add(n, set1(2.0f))));
}

/// Absolute error below 2e-7: least-squares fits of erf(x)/x over x^2 up to 1 and of erfc(x) exp(x^2) over
/// 1/(1 + x/2) beyond.
inline Vec error_function(Vec x) {
  const Vec a = min_or_second(set1(6.0f), absolute(x)), z = mul(a, a);
  const Vec small = polynomial(z, set1(7.882497109e-05f), -8.018854992e-04f, 5.189311943e-03f,
                               -2.685432880e-02f, 1.128359746e-01f, -3.761262690e-01f, 1.128379166e+00f);
  const Vec t = div(set1(1.0f), fma(a, set1(0.5f), set1(1.0f)));
  const Vec tail =
      polynomial(t, set1(6.794020777e-02f), -3.086968902e-01f, 3.469009872e-01f, 5.364797247e-02f,
                 2.804083715e-01f, 2.767295262e-01f, 2.825549403e-01f, -1.624998486e-05f);
  Vec large = sub(set1(1.0f), mul(exponential(sub(set1(0.0f), z)), tail));
  large = select(less(x, set1(0.0f)), sub(set1(0.0f), large), large);
  return select(less(a, set1(1.0f)), mul(small, x), large);
}

inline Vec gelu(Vec x) {
  return mul(mul(set1(0.5f), x), add(set1(1.0f), error_function(mul(x, set1(0.70710678f)))));
}

inline Vec gelu_tanh(Vec x) {
  const Vec inner = mul(set1(0.79788456f), fma(mul(mul(x, x), x), set1(0.044715f), x));
  return mul(mul(set1(0.5f), x), add(set1(1.0f), hyperbolic_tangent(inner)));
}

/// One lane after the other through the C library, for what networks compute once, at load.
template <float (*f)(float)>
inline Vec each(Vec x) {
  float lanes[kWidth];
  store(lanes, x);
  for (float& lane : lanes) lane = f(lane);
  return load(lanes);
}

inline Vec power(Vec x, Vec y) {
  float base[kWidth], exponent[kWidth];
  store(base, x);
  store(exponent, y);
  for (int i = 0; i < kWidth; ++i) base[i] = powf(base[i], exponent[i]);
  return load(base);
}

}  // namespace
}  // namespace vla_rt
