#include "vla_rt/core/time.hpp"

#include <ctime>

namespace vla_rt {

TimeNs steady_now() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<TimeNs>(now.tv_sec) * kNsPerSecond + now.tv_nsec;
}

}  // namespace vla_rt
