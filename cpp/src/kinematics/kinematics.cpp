#include "vla_rt/kinematics/kinematics.hpp"

#include <algorithm>
#include <cmath>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

// Rodrigues' formula for a unit axis.
std::array<double, 9> rotation_about(const Vector3& u, double angle) noexcept {
  const double c = std::cos(angle), s = std::sin(angle), d = 1 - c;
  return {c + d * u[0] * u[0],        d * u[0] * u[1] - s * u[2], d * u[0] * u[2] + s * u[1],
          d * u[1] * u[0] + s * u[2], c + d * u[1] * u[1],        d * u[1] * u[2] - s * u[0],
          d * u[2] * u[0] - s * u[1], d * u[2] * u[1] + s * u[0], c + d * u[2] * u[2]};
}

}  // namespace

void Kinematics::joint_frames(std::span<const double> q, Frames& frames) const noexcept {
  Transform base;
  for (std::size_t i = 0; i < joints_.size(); ++i) {
    const Joint& joint = joints_[i];
    Transform motion;
    if (joint.prismatic)
      motion.translation = {q[i] * joint.axis[0], q[i] * joint.axis[1], q[i] * joint.axis[2]};
    else
      motion.rotation = rotation_about(joint.axis, q[i]);
    frames[i] = compose(compose(i == 0 ? base : frames[i - 1], joint.origin), motion);
  }
}

Transform Kinematics::place(const Link& link, const Frames& frames) const noexcept {
  return link.joint < 0 ? link.offset : compose(frames[static_cast<std::size_t>(link.joint)], link.offset);
}

Transform Kinematics::forward(std::span<const double> q) const noexcept {
  Frames frames;
  joint_frames(q, frames);
  return place(tip_, frames);
}

void Kinematics::link_transforms(std::span<const double> q, std::span<Transform> out) const noexcept {
  Frames frames;
  joint_frames(q, frames);
  for (std::size_t i = 0; i < std::min(out.size(), links_.size()); ++i) out[i] = place(links_[i], frames);
}

void Kinematics::jacobian_at(const Frames& frames, int last_joint, const Vector3& point,
                             std::span<double> linear, double* angular) const noexcept {
  const std::size_t n = joints_.size();
  for (std::size_t j = 0; j < n; ++j) {
    Vector3 v{}, w{};
    if (static_cast<int>(j) <= last_joint) {
      // The axis is the same before and after the joint's own motion.
      const Vector3 axis = rotate(frames[j].rotation, joints_[j].axis);
      const Vector3& origin = frames[j].translation;
      const Vector3 arm{point[0] - origin[0], point[1] - origin[1], point[2] - origin[2]};
      v = joints_[j].prismatic ? axis : cross(axis, arm);
      if (!joints_[j].prismatic) w = axis;
    }
    for (std::size_t k = 0; k < 3; ++k) {
      linear[k * n + j] = v[k];
      if (angular != nullptr) angular[k * n + j] = w[k];
    }
  }
}

void Kinematics::jacobian(std::span<const double> q, std::span<double> out) const noexcept {
  static_cast<void>(forward(q, out));
}

Transform Kinematics::forward(std::span<const double> q, std::span<double> jacobian) const noexcept {
  Frames frames;
  joint_frames(q, frames);
  const Transform tip = place(tip_, frames);
  jacobian_at(frames, tip_.joint, tip.translation, jacobian, jacobian.data() + 3 * joints_.size());
  return tip;
}

void Kinematics::point_jacobian(std::span<const double> q, int link, const Vector3& point,
                                std::span<double> out) const noexcept {
  Frames frames;
  joint_frames(q, frames);
  const Link& l = links_[static_cast<std::size_t>(link)];
  jacobian_at(frames, l.joint, apply(place(l, frames), point), out, nullptr);
}

int Kinematics::link_index(const std::string& name) const {
  const auto it = std::ranges::find(link_names_, name);
  if (it == link_names_.end()) throw ConfigError("link", name, "is not on the chain");
  return static_cast<int>(it - link_names_.begin());
}

}  // namespace vla_rt
