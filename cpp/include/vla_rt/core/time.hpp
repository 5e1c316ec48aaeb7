#pragma once
#include <cstdint>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Nanoseconds of the steady clock (CLOCK_MONOTONIC). Time is always passed in, so that every tick can be
/// replayed.
using TimeNs = std::int64_t;

inline constexpr TimeNs kNsPerSecond = 1'000'000'000;

[[nodiscard]] constexpr double to_seconds(TimeNs t) noexcept { return static_cast<double>(t) * 1e-9; }

/// Nearest nanosecond; the caller guarantees a finite value within +-292 years.
[[nodiscard]] constexpr TimeNs from_seconds(double s) noexcept {
  return static_cast<TimeNs>(s * 1e9 + (s < 0 ? -0.5 : 0.5));
}

/// Now on the steady clock.
/// Real-time: wait-free; a vDSO read where the clock source is tsc or kvm-clock, a system call elsewhere.
[[nodiscard]] VLA_RT_API TimeNs steady_now() noexcept;

}  // namespace vla_rt
