#include "vla_rt/constraints/workspace.hpp"

#include <cmath>
#include <utility>

#include "constraints/shape_checks.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

void Workspace::validate() const {
  bool has_wall = !half_spaces.empty();
  for (std::size_t k = 0; k < 3; ++k) {
    const long i = static_cast<long>(k);
    if (std::isnan(lower[k]) || lower[k] == kOpen)
      throw ConfigError(indexed("lower", i), number(lower[k]), "must be a number, or -inf for open");
    if (!(upper[k] > lower[k]))
      throw ConfigError(indexed("upper", i), number(upper[k]),
                        "must be above " + indexed("lower", i) + " = " + number(lower[k]));
    has_wall = has_wall || std::isfinite(lower[k]) || std::isfinite(upper[k]);
  }
  constraints::check_point("offset", offset);
  constraints::check_half_spaces("half_spaces", half_spaces);
  if (cone) {
    for (const auto& [name, vector] :
         {std::pair{"cone.axis", &cone->axis}, {"cone.direction", &cone->direction}}) {
      constraints::check_point(name, *vector);
      if (!(constraints::norm(*vector) > 1e-9)) throw ConfigError(name, "zero", "must have a direction");
    }
    if (!(cone->max_angle >= OrientationCone::kLeastAngle && cone->max_angle <= OrientationCone::kMostAngle))
      throw ConfigError("cone.max_angle", number(cone->max_angle),
                        "must be in [" + number(OrientationCone::kLeastAngle) + ", " +
                            number(OrientationCone::kMostAngle) + "] rad");
    has_wall = true;
  }
  if (!has_wall) throw ConfigError("workspace", "no wall", "needs a finite bound, a half-space or a cone");
}

}  // namespace vla_rt
