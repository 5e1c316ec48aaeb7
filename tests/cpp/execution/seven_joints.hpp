#pragma once
#include <array>
#include <cmath>

#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/execution/control_config.hpp"

namespace vla_rt::testing {

constexpr int kJoints = 7;

inline JointLimits seven_joint_limits() {
  std::array<double, kJoints> low{}, high{}, v{}, a{}, j{};
  low.fill(-2.8);
  high.fill(2.8);
  v.fill(2.2);
  a.fill(10);
  j.fill(5000);
  return JointLimits::make(low, high, v, a, j);
}

/// Set-up of tests: 1 kHz, rows at 20 Hz.
inline ControllerConfig controller_config() {
  ControllerConfig config;
  config.executor.period_s = 0.05;
  return config;
}

/// Every joint on the sine a·sin(2π f t) + offset, rows from `start` on.
inline void fill_sine(ActionChunk& chunk, TimeNs start, int rows = 16, double amplitude = 0.3,
                      double frequency = 0.4, TimeNs origin = 0) {
  chunk.resize(rows, kJoints);
  chunk.period_ns = 50'000'000;
  chunk.start_time_ns = start;
  for (int t = 0; t < rows; ++t)
    for (int d = 0; d < kJoints; ++d)
      chunk.row(t)[static_cast<std::size_t>(d)] =
          amplitude * std::sin(2 * 3.141592653589793 * frequency * to_seconds(chunk.time_of_row(t) - origin));
}

}  // namespace vla_rt::testing
