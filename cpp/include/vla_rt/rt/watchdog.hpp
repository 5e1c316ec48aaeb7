#pragma once
#include <atomic>
#include <cstdint>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {

/// Says when something that should report regularly has been silent for too long.
///
/// Silence is counted from the newest feed; an older time than the newest neither feeds nor expires it, so
/// that clocks read in a different order by two threads never expire it falsely. It is asleep until the first
/// feed: feed it once when the supervised thing starts. Real-time: everything but the constructor is
/// wait-free, no allocation. Thread: one thread feeds, any thread asks.
class VLA_RT_API Watchdog {
 public:
  /// Throws ConfigError when `timeout_ns` is not > 0.
  explicit Watchdog(TimeNs timeout_ns);

  /// A sign of life at time `now`.
  void feed(TimeNs now) noexcept VLA_RT_NONBLOCKING {
    // One writer: a plain comparison keeps the newest. Release: what was done before the feed is visible with
    // it.
    if (now > fed_ns_.load(std::memory_order_relaxed)) fed_ns_.store(now, std::memory_order_release);
  }

  /// True when the newest feed is more than the timeout before `now`.
  [[nodiscard]] bool expired(TimeNs now) const noexcept VLA_RT_NONBLOCKING { return age(now) > timeout_ns_; }

  /// Time since the newest feed [ns], never negative; 0 before the first feed.
  [[nodiscard]] TimeNs age(TimeNs now) const noexcept VLA_RT_NONBLOCKING;

  [[nodiscard]] TimeNs timeout_ns() const noexcept VLA_RT_NONBLOCKING { return timeout_ns_; }
  /// Back to sleep until the next feed. Thread: the feeding one.
  void reset() noexcept VLA_RT_NONBLOCKING { fed_ns_.store(kNever, std::memory_order_release); }

 private:
  static constexpr TimeNs kNever = INT64_MIN;

  TimeNs timeout_ns_;
  std::atomic<TimeNs> fed_ns_{kNever};
};

}  // namespace vla_rt
