#pragma once
#include <cmath>

#include "vla_rt/core/errors.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt::bindings {

/// A time [s] from Python as nanoseconds. Throws ConfigError naming `name` beyond what int64 holds with room
/// to add.
inline TimeNs time_from(double seconds, const char* name) {
  constexpr double kLatest_s = 2e9;
  if (!(std::abs(seconds) <= kLatest_s))
    throw ConfigError(name, number(seconds), "must be finite and within +-2e9 s");
  return from_seconds(seconds);
}

}  // namespace vla_rt::bindings
