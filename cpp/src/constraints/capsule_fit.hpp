#pragma once
#include <span>

#include "constraints/segment_distance.hpp"

namespace vla_rt::constraints {

struct FittedCapsule {
  Segment axis;
  double radius = 0;
};

/// A small capsule that holds all points (at least one, finite), to rounding of 1e-9 of their extent. The
/// axis is searched from seven directions by pattern search on the volume; the radius and the ends follow
/// from it in closed form. Set-up.
[[nodiscard]] FittedCapsule fit_capsule(std::span<const Vector3> points);

}  // namespace vla_rt::constraints
