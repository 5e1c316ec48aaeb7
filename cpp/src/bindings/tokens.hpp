#pragma once
#include <cstdint>
#include <string>

#include "bindings/arrays.hpp"

namespace vla_rt::bindings {

using Ids = Array<std::int64_t>;

/// Throws ConfigError naming the first id outside lowest..highest.
inline void require_range(const Ids& tokens, std::int64_t lowest, std::int64_t highest) {
  const auto values = elements(tokens);
  std::size_t i = 0;
  without_gil(tokens.size(), [&] {
    while (i < values.size() && values[i] >= lowest && values[i] <= highest) ++i;
  });
  if (i < values.size())
    throw ConfigError(element_name("tokens", tokens, i), std::to_string(values[i]),
                      "must be in " + std::to_string(lowest) + ".." + std::to_string(highest));
}

/// Actions (..., dim) of finite numbers; of any shape where dim is 1.
inline Array<double> checked_actions(const ArrayLike& actions, int dim) {
  Array<double> in = row_major<double>(actions, "actions");
  if (dim > 1) require_last(in, "actions", {dim});
  require_finite(in, "actions");
  return in;
}

}  // namespace vla_rt::bindings
