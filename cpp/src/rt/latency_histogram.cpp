#include "vla_rt/rt/latency_histogram.hpp"

#include <algorithm>
#include <cmath>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

LatencyHistogram::LatencyHistogram(const LatencyHistogram& other) noexcept { merge(other); }

LatencyHistogram& LatencyHistogram::operator=(const LatencyHistogram& other) noexcept {
  if (this != &other) {
    clear();
    merge(other);
  }
  return *this;
}

std::uint64_t LatencyHistogram::count() const noexcept {
  std::uint64_t n = 0;
  for (const auto& c : counts_) n += c.load(std::memory_order_relaxed);
  return n;
}

TimeNs LatencyHistogram::max() const noexcept {
  return static_cast<TimeNs>(max_ns_.load(std::memory_order_relaxed));
}

double LatencyHistogram::mean() const noexcept {
  const std::uint64_t n = count();
  return n == 0 ? 0.0 : static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) / static_cast<double>(n);
}

TimeNs LatencyHistogram::percentile(double percent) const {
  if (!(percent >= 0.0 && percent <= 100.0))
    throw ConfigError("percent", number(percent), "must be within [0, 100]");
  const std::uint64_t n = count();
  if (n == 0) return 0;
  // 99.9 % of 1000 is 999, though the product in double is a little more.
  const double exact = percent / 100.0 * static_cast<double>(n);
  const auto wanted = static_cast<std::uint64_t>(std::ceil(exact - exact * 1e-14));
  const std::uint64_t rank = std::clamp<std::uint64_t>(wanted, 1, n);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i].load(std::memory_order_relaxed);
    // The last bucket is open above, so its only honest edge is the maximum.
    if (seen >= rank) return i + 1 == kBuckets ? max() : std::min(static_cast<TimeNs>(upper_edge(i)), max());
  }
  return max();
}

LatencySummary LatencyHistogram::summary() const {
  const auto us = [this](double percent) { return static_cast<double>(percentile(percent)) * 1e-3; };
  return {us(50.0), us(99.0), us(99.9), static_cast<double>(max()) * 1e-3};
}

void LatencyHistogram::merge(const LatencyHistogram& other) noexcept {
  for (std::size_t i = 0; i < kBuckets; ++i)
    add(counts_[i], other.counts_[i].load(std::memory_order_relaxed));
  add(sum_ns_, other.sum_ns_.load(std::memory_order_relaxed));
  max_ns_.store(
      std::max(max_ns_.load(std::memory_order_relaxed), other.max_ns_.load(std::memory_order_relaxed)),
      std::memory_order_relaxed);
}

void LatencyHistogram::clear() noexcept {
  for (auto& c : counts_) c.store(0, std::memory_order_relaxed);
  sum_ns_.store(0, std::memory_order_relaxed);
  max_ns_.store(0, std::memory_order_relaxed);
}

}  // namespace vla_rt
