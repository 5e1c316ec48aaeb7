#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

/// Checks the bounds of a binning tokenizer and returns their number.
inline int checked_bounds(std::span<const double> low, std::span<const double> high) {
  if (low.empty() || low.size() > 4096)
    throw ConfigError("low", std::to_string(low.size()) + " values", "must have 1..4096");
  if (high.size() != low.size())
    throw ConfigError("high", std::to_string(high.size()) + " values",
                      "must have as many as low, " + std::to_string(low.size()));
  for (std::size_t i = 0; i < low.size(); ++i) {
    if (!std::isfinite(low[i]))
      throw ConfigError(indexed("low", static_cast<long>(i)), number(low[i]), "must be finite");
    if (!std::isfinite(high[i]))
      throw ConfigError(indexed("high", static_cast<long>(i)), number(high[i]), "must be finite");
    const double range = high[i] - low[i];
    if (!(range > 0) || !std::isfinite(range))
      throw ConfigError(indexed("low", static_cast<long>(i)), number(low[i]),
                        "must be < high = " + number(high[i]) + ", with a finite difference");
  }
  return static_cast<int>(low.size());
}

inline std::int64_t checked_count(std::int64_t count, std::int64_t least, const char* name) {
  if (count < least || count > std::numeric_limits<std::int32_t>::max())
    throw ConfigError(name, std::to_string(count), "must be in " + std::to_string(least) + "..2147483647");
  return count;
}

}  // namespace vla_rt
