#include "vla_rt/sampling/prefix_weights.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

void prefix_weights(int delay, int end, PrefixSchedule schedule, std::span<double> weights) {
  if (weights.empty()) throw ConfigError("horizon", "0", "must be >= 1");
  if (delay < 0) throw ConfigError("delay", std::to_string(delay), "must be >= 0");
  if (end < 0) throw ConfigError("end", std::to_string(end), "must be >= 0");
  end = static_cast<int>(std::min(static_cast<std::size_t>(end), weights.size()));
  const int start = std::min(delay, end);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const int row = static_cast<int>(i);
    double w = std::clamp(static_cast<double>(start - 1 - row) / (end - start + 1) + 1, 0.0, 1.0);
    if (schedule == PrefixSchedule::Exp) w *= std::expm1(w) / (std::numbers::e - 1);
    if (schedule == PrefixSchedule::Ones) w = 1;
    if (schedule == PrefixSchedule::Zeros) w = row < start ? 1 : 0;
    weights[i] = row < end ? w : 0;
  }
}

}  // namespace vla_rt
