#include "vla_rt/rt/wakeup.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

class WakeupProbe final : public PeriodicTask {
 public:
  WakeupProbe(std::uint64_t ticks, std::uint64_t settling, LatencyHistogram& latency) noexcept
      : ticks_(ticks), settling_(settling), latency_(latency) {}

  bool tick(const TickTime& time) noexcept VLA_RT_NONBLOCKING override {
    if (time.index >= settling_) {
      latency_.record(time.woke_ns - time.scheduled_ns);
      missed_ += time.missed;
    }
    return time.index + 1 < ticks_;
  }

  [[nodiscard]] std::uint64_t missed() const noexcept { return missed_; }

 private:
  const std::uint64_t ticks_, settling_;
  LatencyHistogram& latency_;
  std::uint64_t missed_ = 0;
};

}  // namespace

WakeupReport measure_wakeup(const RealtimeConfig& config, TimeNs duration_ns,
                            const std::function<bool()>& keep_going) {
  config.validate();
  constexpr TimeNs kDay = TimeNs{24} * 3600 * kNsPerSecond;
  if (duration_ns < 2 * config.period_ns || duration_ns > kDay)
    throw ConfigError("duration_ns", std::to_string(duration_ns),
                      "must be within [" + std::to_string(2 * config.period_ns) + ", " +
                          std::to_string(kDay) + "], two periods to a day");
  WakeupReport report;
  const auto ticks = static_cast<std::uint64_t>(duration_ns / config.period_ns);
  WakeupProbe probe(ticks, std::min<std::uint64_t>(32, ticks / 10), report.latency);
  RealtimeThread thread(config);  // after what it uses: its destructor ends the ticks
  thread.start(probe);
  while (thread.running()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (keep_going && !keep_going()) thread.request_stop();
  }
  thread.join();
  report.missed = probe.missed();
  report.grant = thread.grant();
  return report;
}

}  // namespace vla_rt
