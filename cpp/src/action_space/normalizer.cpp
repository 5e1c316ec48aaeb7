#include "vla_rt/action_space/normalizer.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

using Mode = NormalizationMode;
using Convention = NormalizationConvention;

void keep_only_used(NormalizerSpec& spec) {
  if (spec.mode != Mode::MeanStd) spec.mean.clear(), spec.std.clear();
  // OpenVLA's range modes ask min and max which dimensions are constant.
  const bool range = spec.mode != Mode::MeanStd && spec.mode != Mode::Identity;
  if (spec.mode != Mode::MinMax && !(range && spec.convention == Convention::OpenVla))
    spec.min.clear(), spec.max.clear();
  if (spec.mode != Mode::Quantiles) spec.q01.clear(), spec.q99.clear();
  if (spec.mode != Mode::Quantile10) spec.q10.clear(), spec.q90.clear();
}

// numpy.isclose(hi, lo) with its default tolerances.
bool close(double hi, double lo) { return std::abs(hi - lo) <= 1e-8 + 1e-5 * std::abs(lo); }

template <typename T>
void check(std::span<const T> in, std::span<T> out, std::size_t dim, const char* name) {
  if (in.size() != out.size())
    throw ConfigError(name, std::to_string(in.size()) + " values",
                      "must have as many as the output, " + std::to_string(out.size()));
  if (dim != 0 && in.size() % dim != 0)
    throw ConfigError(name, std::to_string(in.size()) + " values",
                      "must be a multiple of D = " + std::to_string(dim));
  for (std::size_t i = 0; i < in.size(); ++i)
    if (!std::isfinite(in[i]))
      throw ConfigError(indexed(name, static_cast<long>(i)), number(static_cast<double>(in[i])),
                        "must be finite");
}

}  // namespace

Normalizer::Normalizer(NormalizerSpec spec) : spec_(std::move(spec)) {
  keep_only_used(spec_);
  spec_.validate();
  const auto dim = static_cast<std::size_t>(spec_.dimension());
  if (spec_.mode == Mode::Identity) return;
  dimensions_.resize(dim);

  if (spec_.mode == Mode::MeanStd) {
    for (std::size_t i = 0; i < dim; ++i) {
      Dimension& d = dimensions_[i];
      const double std = spec_.std[i];
      d = {.offset = spec_.mean[i], .divisor = std + 1e-8, .scale = std};
      if (spec_.convention == Convention::OpenPi) d.divisor = d.scale = std + 1e-6;
      if (spec_.convention == Convention::Groot) d.divisor = std, d.copy = std == 0;
    }
  } else {
    gain_ = 2, shift_ = 1;
    clip_forward_ = spec_.convention == Convention::OpenVla;
    clip_inverse_ = spec_.convention == Convention::Groot;
    const bool wide = spec_.mode == Mode::MinMax, mid = spec_.mode == Mode::Quantiles;
    const std::vector<double>& lo = wide ? spec_.min : mid ? spec_.q01 : spec_.q10;
    const std::vector<double>& hi = wide ? spec_.max : mid ? spec_.q99 : spec_.q90;
    const bool has_bounds = !spec_.min.empty() && !spec_.max.empty();
    for (std::size_t i = 0; i < dim; ++i) {
      Dimension& d = dimensions_[i];
      const double range = hi[i] - lo[i];
      d = {.offset = lo[i], .divisor = range, .scale = range};
      switch (spec_.convention) {
        case Convention::LeRobot:
          if (range == 0) d.divisor = d.scale = 1e-8;
          break;
        case Convention::OpenVla:
          d.divisor = range + 1e-8;
          d.zero = has_bounds ? spec_.min[i] == spec_.max[i] : range == 0;
          break;
        case Convention::OpenPi:
          d.divisor = d.scale = range + 1e-6;
          break;
        case Convention::Groot:
          d.zero = close(hi[i], lo[i]);
          break;
      }
    }
  }
  for (std::size_t i = 0; i < spec_.mask.size(); ++i) {
    if (spec_.mask[i] != 0) continue;
    dimensions_[i].copy = true;
    if (spec_.convention != Convention::OpenVla) dimensions_[i].zero = false;
  }
}

template <typename T>
void Normalizer::forward(std::span<const T> x, std::span<T> y) const {
  check<T>(x, y, static_cast<std::size_t>(dimension()), "x");
  if (dimensions_.empty()) {
    std::copy(x.begin(), x.end(), y.begin());
    return;
  }
  for (std::size_t i = 0, k = 0; i < x.size(); ++i, k = k + 1 == dimensions_.size() ? 0 : k + 1) {
    const Dimension& d = dimensions_[k];
    double v = static_cast<double>(x[i]);
    if (!d.copy) {
      v = gain_ * (v - d.offset) / d.divisor - shift_;
      if (clip_forward_) v = std::clamp(v, -1.0, 1.0);
    }
    y[i] = static_cast<T>(d.zero ? 0.0 : v);
  }
}

template <typename T>
void Normalizer::inverse(std::span<const T> y, std::span<T> x) const {
  check<T>(y, x, static_cast<std::size_t>(dimension()), "y");
  if (dimensions_.empty()) {
    std::copy(y.begin(), y.end(), x.begin());
    return;
  }
  for (std::size_t i = 0, k = 0; i < y.size(); ++i, k = k + 1 == dimensions_.size() ? 0 : k + 1) {
    const Dimension& d = dimensions_[k];
    double v = static_cast<double>(y[i]);
    if (!d.copy) {
      if (clip_inverse_) v = std::clamp(v, -1.0, 1.0);
      v = (v + shift_) / gain_ * d.scale + d.offset;
    }
    x[i] = static_cast<T>(v);
  }
}

void Normalizer::normalize(std::span<const double> x, std::span<double> y) const { forward<double>(x, y); }
void Normalizer::normalize(std::span<const float> x, std::span<float> y) const { forward<float>(x, y); }
void Normalizer::denormalize(std::span<const double> y, std::span<double> x) const { inverse<double>(y, x); }
void Normalizer::denormalize(std::span<const float> y, std::span<float> x) const { inverse<float>(y, x); }

}  // namespace vla_rt
