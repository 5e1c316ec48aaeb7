#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "constraints/vector3.hpp"
#include "vla_rt/constraints/workspace.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt::constraints {

inline constexpr double kMostMetres = 1e6;

inline void check_point(const std::string& name, const Vector3& p) {
  for (std::size_t k = 0; k < 3; ++k)
    if (!(std::fabs(p[k]) <= kMostMetres))
      throw ConfigError(indexed(name, static_cast<long>(k)), number(p[k]),
                        "must be finite and at most " + number(kMostMetres) + " m in size");
}

inline void check_half_spaces(const std::string& name, const std::vector<HalfSpace>& half_spaces) {
  for (std::size_t i = 0; i < half_spaces.size(); ++i) {
    const std::string which = indexed(name, static_cast<long>(i));
    check_point(which + ".normal", half_spaces[i].normal);
    if (!(norm(half_spaces[i].normal) > 1e-9))
      throw ConfigError(which + ".normal", "zero", "must have a direction");
    if (!(std::fabs(half_spaces[i].offset) <= kMostMetres))
      throw ConfigError(which + ".offset", number(half_spaces[i].offset), "must be finite");
  }
}

}  // namespace vla_rt::constraints
