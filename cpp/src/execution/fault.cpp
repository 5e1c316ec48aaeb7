#include "vla_rt/execution/fault.hpp"

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

const char* to_string(FaultReason reason) noexcept {
  switch (reason) {
    case FaultReason::None:
      return "none";
    case FaultReason::NotReset:
      return "not_reset";
    case FaultReason::FollowingError:
      return "following_error";
    case FaultReason::Watchdog:
      return "watchdog";
    case FaultReason::DriverError:
      return "driver_error";
    case FaultReason::Internal:
      return "internal";
  }
  return "unknown";
}

std::string Fault::text() const {
  switch (reason) {
    case FaultReason::None:
      return {};
    case FaultReason::NotReset:
      return "not reset: the controller was ticked before reset() gave it a start";
    case FaultReason::FollowingError:
      return "following error: joint " + std::to_string(joint) + " was measured " + number(value) +
             " from its command, more than " + number(bound);
    case FaultReason::Watchdog:
      return "watchdog: no fresh chunk for " + number(value) + " s, more than " + number(bound) + " s";
    case FaultReason::DriverError:
      return "driver error: the robot driver reported a failure";
    case FaultReason::Internal:
      return "internal: the filter failed to make a command; please report this";
  }
  return "unknown";
}

}  // namespace vla_rt
