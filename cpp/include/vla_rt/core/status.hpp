#pragma once
#include <algorithm>
#include <cstdint>

namespace vla_rt {

/// What a tick has to say, in order of precedence: the worst of several statuses is the larger one.
///
/// Limited .. NonFinite clear by themselves at the next valid input. Fault ends in the certified stop and
/// stays until `reset()`.
enum class Status : std::uint8_t {
  Ok = 0,         ///< the wish was followed as it was
  Limited = 1,    ///< a wish was changed to stay within the limits
  Starved = 2,    ///< no plan covers the present time
  Stale = 3,      ///< observation, state or worker older than its timeout
  NonFinite = 4,  ///< a NaN or infinite number was refused
  Fault = 5,      ///< latched: following error, broken start, watchdog or driver error
};

[[nodiscard]] constexpr Status worst(Status a, Status b) noexcept { return std::max(a, b); }

/// Lower-case name: "ok", "limited", "starved", "stale", "non_finite", "fault".
[[nodiscard]] constexpr const char* to_string(Status status) noexcept {
  switch (status) {
    case Status::Ok:
      return "ok";
    case Status::Limited:
      return "limited";
    case Status::Starved:
      return "starved";
    case Status::Stale:
      return "stale";
    case Status::NonFinite:
      return "non_finite";
    case Status::Fault:
      return "fault";
  }
  return "unknown";
}

}  // namespace vla_rt
