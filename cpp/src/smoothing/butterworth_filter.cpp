#include "vla_rt/smoothing/butterworth_filter.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

ButterworthFilter::ButterworthFilter(double cutoff_hz, double rate_hz, int order)
    : order_(order), sections_((order + 1) / 2) {
  if (!(std::isfinite(rate_hz) && rate_hz > 0))
    throw ConfigError("rate_hz", number(rate_hz), "must be finite and > 0");
  if (!(cutoff_hz > 0 && cutoff_hz < rate_hz / 2))
    throw ConfigError("cutoff_hz", number(cutoff_hz),
                      "must be in (0, rate_hz / 2 = " + number(rate_hz / 2) + ")");
  if (order < 1 || order > kMaxOrder)
    throw ConfigError("order", std::to_string(order), "must be in 1.." + std::to_string(kMaxOrder));

  // Poles of the prototype lie on the unit circle; a pair at angle theta from the negative real axis gives
  // s^2 + 2 cos(theta) s + 1. The bilinear transform puts s = (1 - z^-1) / (K (1 + z^-1)), K = tan(pi fc /
  // fs).
  const double K = std::tan(std::numbers::pi * cutoff_hz / rate_hz);
  int next = 0;
  if (order % 2 == 1) {
    Section& s = section_[static_cast<std::size_t>(next++)];
    s.b0 = s.b1 = K / (1 + K);
    s.a1 = (K - 1) / (K + 1);
    delay_s_ += 0.5 / K / rate_hz;
  }
  for (int k = 0; k < order / 2; ++k) {
    const double theta = std::numbers::pi * (order % 2 == 1 ? 2 * k + 2 : 2 * k + 1) / (2 * order);
    const double damping = 2 * std::cos(theta), norm = 1 + damping * K + K * K;
    Section& s = section_[static_cast<std::size_t>(next++)];
    s.b0 = s.b2 = K * K / norm;
    s.b1 = 2 * s.b0;
    s.a1 = 2 * (K * K - 1) / norm;
    s.a2 = (1 - damping * K + K * K) / norm;
    delay_s_ += 0.5 * damping / K / rate_hz;
  }
}

void ButterworthFilter::update(std::span<const double> x, std::span<double> y) noexcept VLA_RT_NONBLOCKING {
  const bool first = dim_ == 0;
  if (first) dim_ = static_cast<int>(std::min<std::size_t>(x.size(), kMaxActionDim));
  const std::size_t D = std::min({static_cast<std::size_t>(dim_), x.size(), y.size()});
  for (std::size_t d = 0; d < D; ++d) {
    if (std::isfinite(x[d]))
      input_[d] = x[d];
    else if (first)
      input_[d] = 0;
    double value = input_[d];
    for (int k = 0; k < sections_; ++k) {
      Section& s = section_[static_cast<std::size_t>(k)];
      if (first) {  // settled: gain 1 at rest
        s.z1[d] = (1 - s.b0) * value;
        s.z2[d] = (s.b2 - s.a2) * value;
      }
      const double out = s.b0 * value + s.z1[d];
      s.z1[d] = s.b1 * value - s.a1 * out + s.z2[d];
      s.z2[d] = s.b2 * value - s.a2 * out;
      value = out;
    }
    y[d] = value;
  }
}

}  // namespace vla_rt
