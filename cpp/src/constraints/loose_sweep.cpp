#include "constraints/loose_sweep.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "vla_rt/core/errors.hpp"

namespace vla_rt::constraints {
namespace {

struct Axis {
  Vector3 origin{}, direction{};

  [[nodiscard]] Vector3 nearest(const Vector3& p) const noexcept {
    return along(origin, dot(minus(p, origin), direction), direction);
  }
  [[nodiscard]] Vector3 turned(const Vector3& p, double angle) const noexcept {
    const Vector3 foot = nearest(p), arm = minus(p, foot);
    return along(along(foot, std::cos(angle), arm), std::sin(angle), cross(direction, arm));
  }
};

void slide(HeldCapsule& c, const Vector3& direction, double middle, double half) {
  c.axis = {along(c.axis.start, middle, direction), along(c.axis.end, middle, direction)};
  c.radius += half;
}

// A motion moves the points of a segment by an affine function, hence none farther than one of its ends.
void turn(HeldCapsule& c, const Axis& axis, double middle, double half) {
  c.axis = {axis.turned(c.axis.start, middle), axis.turned(c.axis.end, middle)};
  const Segment on_axis{axis.nearest(c.axis.start), axis.nearest(c.axis.end)};
  const double far = std::max(norm(minus(c.axis.start, on_axis.start)), norm(minus(c.axis.end, on_axis.end)));
  const double moved = 2 * far * std::sin(0.5 * half);
  if (far < moved) c.axis = on_axis;
  c.radius += std::min(far, moved);
}

}  // namespace

HeldCapsule hold_loose(const Kinematics& kinematics, const AttachedFrame& link, const Capsule& capsule,
                       const std::string& name) {
  HeldCapsule held{
      .axis = {vla_rt::apply(link.offset, capsule.start), vla_rt::apply(link.offset, capsule.end)},
      .radius = capsule.radius};
  for (int k = link.loose; k >= 0; k = kinematics.loose_joints()[static_cast<std::size_t>(k)].frame.loose) {
    const LooseJoint& joint = kinematics.loose_joints()[static_cast<std::size_t>(k)];
    const auto refuse = [&](const std::string& how) {
      throw ConfigError(name, capsule.link,
                        "moves by joint " + joint.name + ", which is not on the chain and " + how +
                            "; give the link before it a capsule of the space this one sweeps");
    };
    const double half = 0.5 * std::fabs(joint.max_position - joint.min_position);
    const double middle = std::isfinite(half) ? 0.5 * (joint.min_position + joint.max_position) : 0;
    const Vector3 direction = rotate(joint.frame.offset.rotation, joint.axis);
    if (joint.prismatic) {
      if (!std::isfinite(half)) refuse("slides without limits");
      slide(held, direction, middle, half);
    } else {
      if (joint.type != "revolute" && joint.type != "continuous") refuse("is " + joint.type);
      turn(held, {joint.frame.offset.translation, direction}, middle, std::min(half, std::numbers::pi));
    }
  }
  return held;
}

}  // namespace vla_rt::constraints
