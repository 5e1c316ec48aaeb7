#pragma once
#include <algorithm>
#include <cmath>

#include "execution/plan.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt::execution {

/// The time at which the plan is asked, tick by tick.
///
/// The commanded motion advances by the nominal period, also when a tick comes late. Asked for the true time,
/// the plan would then jump ahead of it, which the limits turn into a spike of acceleration. So the time of
/// the plan advances by the nominal period too, and makes up for what it lost as a critically damped second
/// order filter does: its rate is continuous. A lag beyond kMaxLag is jumped over.
class PlanClock {
 public:
  static constexpr TimeNs kMaxLag = 500'000'000;

  explicit PlanClock(TimeNs period_ns)
      : period_ns_(period_ns), time_constant_(std::max(kTimeConstant_s, 8 * to_seconds(period_ns))) {}

  void reset() noexcept {
    started_ = false;
    excess_ = 0;
  }

  /// Advances to the tick at `now`; returns the time to ask the plan for. Never goes back.
  TimeNs advance(TimeNs now) noexcept {
    now = std::clamp(now, kEarliest, kLatest);
    const TimeNs nominal = time_ns_ + period_ns_;
    if (!started_ || now > nominal + kMaxLag) {
      started_ = true;
      excess_ = 0;
      return time_ns_ = now;
    }
    const double dt = to_seconds(period_ns_);
    const double lag = to_seconds(std::max(now, nominal - kMaxLag) - nominal);
    excess_ += dt / time_constant_ * (lag / time_constant_ - 2 * excess_);
    excess_ = std::clamp(excess_, -1.0, kMaxExcess);
    if (lag == 0 && std::fabs(excess_) < 1e-9) excess_ = 0;
    return time_ns_ = nominal + from_seconds(excess_ * dt);
  }

  /// Plan time per motion time in the last tick.
  [[nodiscard]] double rate() const noexcept { return 1 + excess_; }

 private:
  static constexpr double kTimeConstant_s = 0.05, kMaxExcess = 0.5;

  TimeNs period_ns_, time_ns_ = 0;
  double time_constant_, excess_ = 0;
  bool started_ = false;
};

}  // namespace vla_rt::execution
