#include "vla_rt/execution/delay_estimator.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

DelayEstimator::DelayEstimator(double period_s, double quantile, double half_life)
    : period_s_(period_s), quantile_(quantile), fade_(std::exp2(-1 / half_life)) {
  if (!(std::isfinite(period_s) && period_s > 0))
    throw ConfigError("period_s", number(period_s), "must be finite and > 0");
  if (!(quantile > 0 && quantile <= 1)) throw ConfigError("quantile", number(quantile), "must be in (0, 1]");
  if (!(half_life > 0)) throw ConfigError("half_life", number(half_life), "must be > 0");
}

void DelayEstimator::add(double latency_s, int moved_rows) noexcept {
  if (!(std::isfinite(latency_s) && latency_s >= 0)) return;
  if (!std::exchange(warm_, true)) return;
  // The row that was being executed when the chunk came counts as moved in part, hence one more.
  if (moved_rows >= 0) latency_s = std::min(latency_s, (moved_rows + 1) * period_s_);
  latency_s_[static_cast<std::size_t>(next_)] = latency_s;
  next_ = (next_ + 1) % kWindow;
  count_ = std::min(count_ + 1, kWindow);
}

void DelayEstimator::reset() noexcept {
  warm_ = false;
  count_ = next_ = 0;
}

double DelayEstimator::delay_s() const noexcept {
  struct Sample {
    double latency_s, weight;
  };
  std::array<Sample, kWindow> samples;
  double total = 0, weight = 1;
  for (int age = 0; age < count_; ++age, weight *= fade_) {
    const int slot = (next_ - 1 - age + kWindow) % kWindow;
    samples[static_cast<std::size_t>(age)] = {latency_s_[static_cast<std::size_t>(slot)], weight};
    total += weight;
  }
  const auto end = samples.begin() + count_;
  std::sort(samples.begin(), end, [](const Sample& a, const Sample& b) { return a.latency_s < b.latency_s; });
  double sum = 0;
  for (auto sample = samples.begin(); sample != end; ++sample) {
    sum += sample->weight;
    // Rounding must not carry the last sample's sum below the quantile of the total.
    if (sum >= quantile_ * total * (1 - 1e-12)) return sample->latency_s;
  }
  return 0;
}

double DelayEstimator::slowest_s() const noexcept {
  return *std::max_element(latency_s_.begin(), latency_s_.begin() + std::max(count_, 1)) * (count_ > 0);
}

int DelayEstimator::delay_rows() const noexcept {
  // A latency of a whole number of rows is that many, not one more by rounding.
  const double rows = std::ceil(delay_s() / period_s_ - 1e-9);
  return static_cast<int>(std::clamp(rows, 0.0, static_cast<double>(std::numeric_limits<int>::max())));
}

}  // namespace vla_rt
