#pragma once
#include <cstdint>
#include <functional>

#include "vla_rt/core/api.hpp"
#include "vla_rt/rt/latency_histogram.hpp"
#include "vla_rt/rt/realtime_thread.hpp"

namespace vla_rt {

/// How late a RealtimeThread wakes up here.
struct WakeupReport {
  LatencyHistogram latency;  ///< woke - scheduled of every tick [ns]
  std::uint64_t missed = 0;  ///< places of the grid without a tick
  RealtimeGrant grant;
};

/// Runs a thread that does nothing but wake up, for `duration_ns`, and reports how late it was.
///
/// The first 32 ticks (or a tenth, if fewer) are not counted: caches and frequency settle in them.
/// `keep_going` is asked about every 50 ms on the calling thread; false ends the measurement early (it may
/// also throw). Throws ConfigError for a bad configuration or a duration under two periods or over a day,
/// RealtimeError as RealtimeThread::start. Real-time: no; the measured thread is. Thread: any; blocks for the
/// duration.
[[nodiscard]] VLA_RT_API WakeupReport measure_wakeup(const RealtimeConfig& config, TimeNs duration_ns,
                                                     const std::function<bool()>& keep_going = {});

}  // namespace vla_rt
