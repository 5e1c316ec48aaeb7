#pragma once
#include <algorithm>

#include "vla_rt/core/time.hpp"
#include "vla_rt/execution/controller.hpp"
#include "vla_rt/execution/delay_estimator.hpp"

namespace vla_rt::execution {

/// Longest time between two observations that neither the watchdog nor the plan's timeout objects to, halved.
inline TimeNs freshness(const ControllerConfig& config) noexcept {
  double seconds = 3600;
  if (config.watchdog_s > 0) seconds = std::min(seconds, config.watchdog_s);
  if (config.plan_timeout_s > 0) seconds = std::min(seconds, config.plan_timeout_s);
  return from_seconds(seconds / 2);
}

/// How late the next chunk will come, and when it must be asked for, from how late the last ones came.
class InferenceSchedule {
 public:
  /// `period_s`: between the rows of a chunk.
  explicit InferenceSchedule(double period_s)
      : row_ns_(from_seconds(period_s)), delay_(period_s), whole_(period_s) {}

  /// A chunk was handed over `delay` after its observation; the plan was executed for `executed` meanwhile
  /// (negative: there was none).
  void add(TimeNs delay, TimeNs executed) noexcept {
    if (cold_ns_ < 0) cold_ns_ = delay;
    delay_.add(to_seconds(delay), executed < 0 ? -1 : static_cast<int>(executed / row_ns_));
    whole_.add(to_seconds(delay));
  }

  /// Of the plan, until the next chunk takes over; the cold call's own while there is nothing better.
  [[nodiscard]] TimeNs expected_delay() const noexcept {
    if (delay_.count() == 0) return cold_ns_ < 0 ? 0 : cold_ns_;
    return from_seconds(delay_.delay_s());
  }
  [[nodiscard]] int expected_rows() const noexcept {
    return static_cast<int>((expected_delay() + row_ns_ - 1) / row_ns_);
  }

  /// When to take the next observation, so that its chunk comes before `due` (nearly always) and before
  /// `plan_end` (as slow as any remembered one). At once after the cold call, which says little.
  [[nodiscard]] TimeNs next_observation(TimeNs due, TimeNs plan_end) const noexcept {
    if (whole_.count() == 0) return due - kForever;
    const TimeNs usual = from_seconds(whole_.delay_s()), slowest = from_seconds(whole_.slowest_s());
    return std::min(due - usual, plan_end - slowest) - kMargin;
  }

 private:
  static constexpr TimeNs kMargin = 5'000'000;  // the worker's own wake-up and hand-over
  static constexpr TimeNs kForever = 3600 * kNsPerSecond;

  TimeNs row_ns_, cold_ns_ = -1;
  DelayEstimator delay_;  // as far as the plan moved on
  DelayEstimator whole_;  // starved or not
};

}  // namespace vla_rt::execution
