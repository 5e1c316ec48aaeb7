#pragma once
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {

/// Percentiles of latencies in microseconds; all 0 when nothing was recorded.
struct LatencySummary {
  double p50_us = 0, p99_us = 0, p999_us = 0, max_us = 0;
};

/// Histogram of latencies in fixed memory (31 KiB, no heap): every value is kept to better than 1 %.
///
/// Log-linear buckets (HdrHistogram, G. Tene): values below 256 ns are exact, every octave above has 128
/// equal buckets, up to 2^37 ns (137 s). A percentile is the upper edge of its bucket and never above the
/// largest value seen: it is at most 0.79 % too high and never too low. Larger values count into the last
/// bucket, negative ones as 0; `max` and `mean` stay exact. Real-time: `record` is wait-free, no allocation
/// (about 3 ns); the rest is for the other threads. Thread: one thread records, merges and clears; any thread
/// reads a running histogram and gets a recent view.
class VLA_RT_API LatencyHistogram {
 public:
  static constexpr TimeNs kMaxTracked = (TimeNs{1} << 37) - 1;

  LatencyHistogram() noexcept = default;
  LatencyHistogram(const LatencyHistogram& other) noexcept;
  LatencyHistogram& operator=(const LatencyHistogram& other) noexcept;

  /// Counts one latency.
  void record(TimeNs latency_ns) noexcept VLA_RT_NONBLOCKING {
    const std::uint64_t value = latency_ns > 0 ? static_cast<std::uint64_t>(latency_ns) : 0;
    add(counts_[bucket_of(value)], 1);
    add(sum_ns_, value);
    if (value > max_ns_.load(std::memory_order_relaxed)) max_ns_.store(value, std::memory_order_relaxed);
  }

  /// Number of recorded values.
  [[nodiscard]] std::uint64_t count() const noexcept;
  /// Largest value [ns]; 0 when empty.
  [[nodiscard]] TimeNs max() const noexcept;
  /// Mean [ns]; 0 when empty.
  [[nodiscard]] double mean() const noexcept;
  /// Smallest latency [ns] that at least `percent` % of the values do not exceed (nearest rank); 0 when
  /// empty. Throws ConfigError when `percent` is not in [0, 100].
  [[nodiscard]] TimeNs percentile(double percent) const;
  [[nodiscard]] LatencySummary summary() const;

  /// Adds all values of `other`.
  void merge(const LatencyHistogram& other) noexcept;
  void clear() noexcept;

 private:
  static constexpr int kSubBits = 7, kMaxBits = 37;
  static constexpr std::size_t kBuckets = static_cast<std::size_t>(kMaxBits - kSubBits + 1) << kSubBits;

  // Shifts the value until it has kSubBits + 1 bits: the shift is the octave, the rest the place within it.
  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value > static_cast<std::uint64_t>(kMaxTracked)) value = static_cast<std::uint64_t>(kMaxTracked);
    const int width = static_cast<int>(std::bit_width(value));
    const int shift = width > kSubBits + 1 ? width - kSubBits - 1 : 0;
    return (static_cast<std::size_t>(shift) << kSubBits) + static_cast<std::size_t>(value >> shift);
  }
  static constexpr std::uint64_t upper_edge(std::size_t bucket) noexcept {
    constexpr std::size_t kSub = std::size_t{1} << kSubBits;
    if (bucket < 2 * kSub) return bucket;
    const std::size_t shift = bucket / kSub - 1;
    return ((static_cast<std::uint64_t>(bucket - shift * kSub) + 1) << shift) - 1;
  }
  // One writer: relaxed load and store are enough and cost no more than a plain increment.
  static void add(std::atomic<std::uint64_t>& counter, std::uint64_t n) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  std::array<std::atomic<std::uint64_t>, kBuckets> counts_{};
  std::atomic<std::uint64_t> sum_ns_{0};
  std::atomic<std::uint64_t> max_ns_{0};
};

}  // namespace vla_rt
