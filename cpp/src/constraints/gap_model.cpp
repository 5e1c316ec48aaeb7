#include "constraints/gap_model.hpp"

#include <algorithm>
#include <cmath>

#include "constraints/loose_sweep.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt::constraints {
namespace {

constexpr std::size_t kMostGaps = 4096;

// A rotation that takes z to the unit vector u.
std::array<double, 9> turn_to(const Vector3& u) {
  if (u[2] == 1) return {1, 0, 0, 0, 1, 0, 0, 0, 1};
  const Vector3 helper = std::fabs(u[0]) < 0.9 ? Vector3{1, 0, 0} : Vector3{0, 1, 0};
  Vector3 x = along(helper, -dot(helper, u), u);
  const double length = norm(x);
  x = {x[0] / length, x[1] / length, x[2] / length};
  const Vector3 y = cross(u, x);
  return {x[0], y[0], u[0], x[1], y[1], u[1], x[2], y[2], u[2]};
}

std::array<double, 9> transposed(const std::array<double, 9>& r) {
  return {r[0], r[3], r[6], r[1], r[4], r[7], r[2], r[5], r[8]};
}

Transform rotation_only(const std::array<double, 9>& r) { return {.rotation = r, .translation = {}}; }

Plane plane_of(const HalfSpace& h, bool solid) {
  // The gap is outside a solid half-space, inside an allowed one.
  const double length = norm(h.normal), sign = solid ? 1 : -1;
  return {.normal = {sign * h.normal[0] / length, sign * h.normal[1] / length, sign * h.normal[2] / length},
          .offset = sign * h.offset / length};
}

}  // namespace

GapModel::GapModel(const Kinematics& kinematics, std::span<const Workspace> workspaces,
                   const CollisionShapes* collision) {
  for (int j = 0; j < kinematics.num_joints(); ++j) {
    const ChainJoint& joint = kinematics.joint(j);
    turns_.push_back(turn_to(joint.axis));
    Transform origin = compose(joint.origin, rotation_only(turns_.back()));
    if (j > 0) origin = compose(rotation_only(transposed(turns_[turns_.size() - 2])), origin);
    joints_.push_back({origin, joint.prismatic});
  }
  for (const Workspace& workspace : workspaces) add_workspace(kinematics, workspace);
  if (collision != nullptr) add_collision(kinematics, *collision);
  if (gaps_.size() > kMostGaps)
    throw ConfigError("surroundings", std::to_string(gaps_.size()) + " pairs",
                      "must be at most " + std::to_string(kMostGaps) + ": ignore some");
}

int GapModel::name_index(const std::string& name) {
  const auto it = std::ranges::find(names_, name);
  if (it != names_.end()) return static_cast<int>(it - names_.begin());
  names_.push_back(name);
  return static_cast<int>(names_.size()) - 1;
}

int GapModel::add_body(const AttachedFrame& frame, const Segment& segment, double radius,
                       const std::string& name) {
  Transform t = frame.offset;
  if (frame.joint >= 0)
    t = compose(rotation_only(transposed(turns_[static_cast<std::size_t>(frame.joint)])), t);
  bodies_.push_back({.joint = frame.joint,
                     .segment = {vla_rt::apply(t, segment.start), vla_rt::apply(t, segment.end)},
                     .radius = radius,
                     .name = name_index(name)});
  return static_cast<int>(bodies_.size()) - 1;
}

void GapModel::add_workspace(const Kinematics& kinematics, const Workspace& workspace) {
  workspace.validate();
  const AttachedFrame& frame =
      workspace.link.empty() ? kinematics.tip() : kinematics.link(kinematics.link_index(workspace.link));
  const std::string name = workspace.link.empty() ? "tip" : workspace.link;
  if (frame.joint < 0) throw ConfigError("workspace link", name, "never moves");
  if (frame.loose >= 0)
    throw ConfigError("workspace link", name,
                      "moves by joint " +
                          kinematics.loose_joints()[static_cast<std::size_t>(frame.loose)].name +
                          ", which is not on the chain");
  const int body = add_body(frame, {workspace.offset, workspace.offset}, 0, name);
  const auto add = [&](const Plane& plane) { add_wall(body, plane); };
  for (std::size_t k = 0; k < 3; ++k) {
    Vector3 axis{};
    axis[k] = 1;
    if (std::isfinite(workspace.lower[k])) add({axis, workspace.lower[k]});
    axis[k] = -1;
    if (std::isfinite(workspace.upper[k])) add({axis, -workspace.upper[k]});
  }
  for (const HalfSpace& h : workspace.half_spaces) add(plane_of(h, false));
  if (workspace.cone) add_cone(frame, name, *workspace.cone);
}

void GapModel::add_wall(int body, const Plane& plane) {
  const Body& b = bodies_[static_cast<std::size_t>(body)];
  gaps_.push_back({.shape = Gap::Shape::Plane,
                   .is_workspace = true,
                   .is_direction = b.is_direction,
                   .from = -1,
                   .to = b.joint,
                   .body = body,
                   .index = static_cast<int>(planes_.size()),
                   .radius = 0,
                   .first_name = b.name,
                   .second_name = name_index("workspace")});
  planes_.push_back(plane);
}

void GapModel::add_cone(const AttachedFrame& frame, const std::string& name, const OrientationCone& cone) {
  const auto unit = [](const Vector3& v) { return along({}, 1 / norm(v), v); };
  Transform turn = frame.offset;
  turn.translation = {};
  const Vector3 axis = unit(cone.axis);
  const int body = add_body({frame.joint, turn, -1}, {axis, axis}, 0, name);
  bodies_[static_cast<std::size_t>(body)].is_direction = true;
  add_wall(body, {.normal = unit(cone.direction), .offset = std::cos(cone.max_angle)});
}

void GapModel::add_collision(const Kinematics& kinematics, const CollisionShapes& shapes) {
  const std::size_t first = bodies_.size();
  for (std::size_t i = 0; i < shapes.capsules.size(); ++i) {
    const Capsule& c = shapes.capsules[i];
    const AttachedFrame& link = kinematics.link(kinematics.link_index(c.link));
    const HeldCapsule held = hold_loose(kinematics, link, c, indexed("capsules", static_cast<long>(i)));
    add_body({link.joint, {}, -1}, held.axis, held.radius, c.link);
  }
  add_self_gaps(shapes, first);
  add_world_gaps(shapes, first);
}

void GapModel::add_self_gaps(const CollisionShapes& shapes, std::size_t first_body) {
  for (std::size_t i = first_body; i < bodies_.size(); ++i)
    for (std::size_t k = i + 1; k < bodies_.size(); ++k) {
      const bool ordered = bodies_[i].joint <= bodies_[k].joint;
      const Body& a = bodies_[ordered ? i : k];
      const Body& b = bodies_[ordered ? k : i];
      if (b.joint - a.joint <= 1) continue;
      const auto named = [&](const auto& pair) {
        const std::string &x = name(a.name), &y = name(b.name);
        return (pair.first == x && pair.second == y) || (pair.first == y && pair.second == x);
      };
      if (std::ranges::any_of(shapes.ignore, named)) continue;
      gaps_.push_back({.shape = Gap::Shape::Segment,
                       .is_workspace = false,
                       .is_direction = false,
                       .from = a.joint,
                       .to = b.joint,
                       .body = static_cast<int>(ordered ? k : i),
                       .index = static_cast<int>(segments_.size()),
                       .radius = a.radius + b.radius,
                       .first_name = a.name,
                       .second_name = b.name});
      segments_.push_back(a.segment);
    }
}

void GapModel::add_world_gaps(const CollisionShapes& shapes, std::size_t first_body) {
  for (std::size_t i = first_body; i < bodies_.size(); ++i) {
    const Body& b = bodies_[i];
    const auto named = [&](const auto& pair) {
      return (pair.first == "world" && pair.second == name(b.name)) ||
             (pair.second == "world" && pair.first == name(b.name));
    };
    if (b.joint < 0 || std::ranges::any_of(shapes.ignore, named)) continue;
    const int body_name = b.name, world = name_index("world");
    const auto add = [&](Gap::Shape shape, std::size_t index, double radius) {
      gaps_.push_back({.shape = shape,
                       .is_workspace = false,
                       .is_direction = false,
                       .from = -1,
                       .to = bodies_[i].joint,
                       .body = static_cast<int>(i),
                       .index = static_cast<int>(index),
                       .radius = bodies_[i].radius + radius,
                       .first_name = body_name,
                       .second_name = world});
    };
    for (const Capsule& c : shapes.world_capsules) {
      add(Gap::Shape::Segment, segments_.size(), c.radius);
      segments_.push_back({c.start, c.end});
    }
    for (const WorldBox& box : shapes.world_boxes) {
      add(Gap::Shape::Box, boxes_.size(), 0);
      boxes_.push_back({box.pose, box.half_size});
    }
    for (const HalfSpace& h : shapes.world_half_spaces) {
      add(Gap::Shape::Plane, planes_.size(), 0);
      planes_.push_back(plane_of(h, true));
    }
  }
}

void GapModel::place(std::span<const double> q, JointFrames& frames) const noexcept {
  for (std::size_t j = 0; j < joints_.size(); ++j) {
    Transform& f = frames[j];
    f = j == 0 ? joints_[0].origin : compose(frames[j - 1], joints_[j].origin);
    std::array<double, 9>& r = f.rotation;
    if (joints_[j].prismatic) {
      f.translation = along(f.translation, q[j], {r[2], r[5], r[8]});
      continue;
    }
    const double c = std::cos(q[j]), s = std::sin(q[j]);
    for (std::size_t k = 0; k < 9; k += 3) {
      const double x = r[k], y = r[k + 1];
      r[k] = c * x + s * y;
      r[k + 1] = c * y - s * x;
    }
  }
}

GapSample GapModel::sample(const Gap& gap, const JointFrames& frames) const noexcept {
  const Body& body = bodies_[static_cast<std::size_t>(gap.body)];
  const Transform& moving = frames[static_cast<std::size_t>(gap.to)];
  Segment s{rotate(moving.rotation, body.segment.start), rotate(moving.rotation, body.segment.end)};
  if (!gap.is_direction) s = {along(moving.translation, 1, s.start), along(moving.translation, 1, s.end)};
  if (gap.from >= 0) {
    const Transform& fixed = frames[static_cast<std::size_t>(gap.from)];
    s = {apply_back(fixed, s.start), apply_back(fixed, s.end)};
  }
  const std::size_t i = static_cast<std::size_t>(gap.index);
  GapSample out{.distance = 0, .normal = {}, .start = s.start, .end = s.end, .at = 0};
  if (gap.shape == Gap::Shape::Plane) {
    out.normal = planes_[i].normal;
    const double first = dot(out.normal, s.start), last = dot(out.normal, s.end);
    out.at = last < first ? 1 : 0;
    out.distance = std::min(first, last) - planes_[i].offset - gap.radius;
    return out;
  }
  const Separation d = gap.shape == Gap::Shape::Box ? separation(boxes_[i], s) : separation(segments_[i], s);
  out.distance = d.distance - gap.radius;
  out.normal = d.normal;
  out.at = d.at;
  return out;
}

double GapModel::support(const Gap& gap, const Vector3& normal) const noexcept {
  const std::size_t i = static_cast<std::size_t>(gap.index);
  switch (gap.shape) {
    case Gap::Shape::Plane:
      return planes_[i].offset + gap.radius;
    case Gap::Shape::Box:
      return constraints::support(boxes_[i], normal) + gap.radius;
    case Gap::Shape::Segment:
      break;
  }
  return constraints::support(segments_[i], normal) + gap.radius;
}

void GapModel::gradient(const Gap& gap, const GapSample& sample, const JointFrames& frames,
                        std::span<double> out) const noexcept {
  Vector3 n = sample.normal, p = along(sample.start, sample.at, minus(sample.end, sample.start));
  if (gap.from >= 0) {
    const Transform& fixed = frames[static_cast<std::size_t>(gap.from)];
    n = rotate(fixed.rotation, n);
    p = vla_rt::apply(fixed, p);
  }
  std::fill(out.begin(), out.end(), 0.0);
  for (int j = gap.from + 1; j <= gap.to; ++j) {
    const std::size_t k = static_cast<std::size_t>(j);
    const Transform& f = frames[k];
    const Vector3 axis{f.rotation[2], f.rotation[5], f.rotation[8]};
    if (gap.is_direction)
      out[k] = joints_[k].prismatic ? 0 : dot(n, cross(axis, p));
    else
      out[k] = joints_[k].prismatic ? dot(n, axis) : dot(n, cross(axis, minus(p, f.translation)));
  }
}

void GapModel::reach(std::span<const double> most_q, std::vector<double>& out) const noexcept {
  const std::size_t n = joints_.size();
  for (std::size_t b = 0; b < bodies_.size(); ++b) {
    const Body& body = bodies_[b];
    for (std::size_t j = 0; j < n; ++j) out[b * n + j] = 0;
    if (body.joint < 0) continue;
    if (body.is_direction) {
      for (std::size_t k = 0; k <= static_cast<std::size_t>(body.joint); ++k)
        out[b * n + k] = joints_[k].prismatic ? 0 : 1 + 1e-12;
      continue;
    }
    for (const Vector3& p : {body.segment.start, body.segment.end}) {
      // `far`: how far the point can be from the origin of frame j.
      double far = 0;
      for (int j = body.joint; j >= 0; --j) {
        const std::size_t k = static_cast<std::size_t>(j);
        double off_axis = 0;
        if (j == body.joint) {
          off_axis = std::hypot(p[0], p[1]);
          far = norm(p);
        } else {
          const Vector3& t = joints_[k + 1].origin.translation;
          off_axis = std::hypot(t[0], t[1]) + far;
          far += norm(t);
        }
        if (joints_[k].prismatic) far += most_q[k];
        double& r = out[b * n + k];
        r = joints_[k].prismatic ? 1 : std::max(r, off_axis * (1 + 1e-12));
      }
    }
  }
}

}  // namespace vla_rt::constraints
