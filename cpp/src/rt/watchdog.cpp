#include "vla_rt/rt/watchdog.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

Watchdog::Watchdog(TimeNs timeout_ns) : timeout_ns_(timeout_ns) {
  if (timeout_ns <= 0) throw ConfigError("timeout_ns", std::to_string(timeout_ns), "must be > 0");
}

TimeNs Watchdog::age(TimeNs now) const noexcept {
  const TimeNs fed = fed_ns_.load(std::memory_order_acquire);
  if (fed == kNever || now <= fed) return 0;
  // Unsigned, because the distance of two far times does not fit into a TimeNs.
  constexpr std::uint64_t kMost = std::numeric_limits<TimeNs>::max();
  const std::uint64_t silence = static_cast<std::uint64_t>(now) - static_cast<std::uint64_t>(fed);
  return static_cast<TimeNs>(std::min(silence, kMost));
}

}  // namespace vla_rt
