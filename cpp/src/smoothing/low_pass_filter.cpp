#include "vla_rt/smoothing/low_pass_filter.hpp"

#include <algorithm>
#include <cmath>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

LowPassFilter::LowPassFilter(double alpha) : alpha_(alpha) {
  if (!(alpha >= 0 && alpha < 1)) throw ConfigError("alpha", number(alpha), "must be in [0, 1)");
}

void LowPassFilter::update(std::span<const double> x, std::span<double> y) noexcept VLA_RT_NONBLOCKING {
  const bool first = dim_ == 0;
  if (first) dim_ = static_cast<int>(std::min<std::size_t>(x.size(), kMaxActionDim));
  const std::size_t D = std::min({static_cast<std::size_t>(dim_), x.size(), y.size()});
  for (std::size_t d = 0; d < D; ++d) {
    if (std::isfinite(x[d]))
      input_[d] = x[d];
    else if (first)
      input_[d] = 0;
    output_[d] = first ? input_[d] : alpha_ * output_[d] + (1 - alpha_) * input_[d];
    y[d] = output_[d];
  }
}

}  // namespace vla_rt
