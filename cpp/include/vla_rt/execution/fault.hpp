#pragma once
#include <cstdint>
#include <string>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {

/// Why a controller ended in the certified stop until its next `reset()`.
enum class FaultReason : std::uint8_t {
  None,
  NotReset,        ///< ticked before any `reset()` was accepted: no start is known to be safe
  FollowingError,  ///< a joint was measured too far from where it was commanded
  Watchdog,        ///< no fresh chunk for too long
  DriverError,     ///< the robot driver failed
  Internal,        ///< the filter failed to make a finite command
};

/// "none", "not_reset", "following_error", "watchdog", "driver_error", "internal".
[[nodiscard]] VLA_RT_API const char* to_string(FaultReason reason) noexcept;

/// The first fault since the last reset. Plain data.
struct Fault {
  FaultReason reason = FaultReason::None;
  std::int32_t joint = -1;  ///< the joint at fault, or -1
  TimeNs time_ns = 0;       ///< the tick that found it
  double value = 0;         ///< what was found: distance [rad] or [m], silence [s]
  double bound = 0;         ///< what is allowed

  /// One plain sentence; empty without a fault. Real-time: no (allocates).
  [[nodiscard]] VLA_RT_API std::string text() const;
};

}  // namespace vla_rt
