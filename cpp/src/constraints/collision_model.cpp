#include "vla_rt/constraints/collision_model.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <utility>

#include "constraints/capsule_fit.hpp"
#include "constraints/gap_model.hpp"
#include "constraints/mesh_file.hpp"
#include "constraints/shape_checks.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

using namespace constraints;

namespace {

void check_capsules(const std::string& name, const std::vector<Capsule>& capsules, const Kinematics* links) {
  for (std::size_t i = 0; i < capsules.size(); ++i) {
    const std::string which = indexed(name, static_cast<long>(i));
    const Capsule& c = capsules[i];
    check_point(which + ".start", c.start);
    check_point(which + ".end", c.end);
    if (!(c.radius >= 0 && c.radius <= kMostMetres))
      throw ConfigError(which + ".radius", number(c.radius), "must be finite and >= 0");
    if (links == nullptr && !c.link.empty())
      throw ConfigError(which + ".link", c.link, "must be empty: a shape of the world has no link");
    if (links != nullptr && c.link.empty()) throw ConfigError(which + ".link", "empty", "must name a link");
    if (links != nullptr && std::ranges::find(links->link_names(), c.link) == links->link_names().end())
      throw ConfigError(which + ".link", c.link, "is not on the chain");
  }
}

// One capsule around a mesh, in its own frame.
Capsule capsule_around(const LinkGeometry& g, const std::string& link, const std::string& description) {
  const auto refuse = [&](const std::string& why) {
    throw ConfigError(
        "link", link,
        "has the mesh " + g.mesh + ", which " + why + "; give the capsules of this robot yourself");
  };
  std::string kind = g.mesh.substr(g.mesh.find_last_of('.') + 1);
  std::ranges::transform(kind, kind.begin(), [](unsigned char c) { return std::tolower(c); });
  if (kind != "stl") refuse("is no STL file");
  const std::string file = find_mesh(g.mesh, description);
  if (file.empty()) refuse("is not found from " + (description.empty() ? "a text" : description));
  std::vector<Vector3> points = read_stl(file);
  for (Vector3& p : points)
    for (std::size_t k = 0; k < 3; ++k) p[k] *= g.size[k];
  const FittedCapsule fitted = fit_capsule(points);
  return {.start = fitted.axis.start, .end = fitted.axis.end, .radius = fitted.radius, .link = link};
}

void check_shapes(const Kinematics& kinematics, const CollisionShapes& shapes) {
  check_capsules("capsules", shapes.capsules, &kinematics);
  check_capsules("world_capsules", shapes.world_capsules, nullptr);
  check_half_spaces("world_half_spaces", shapes.world_half_spaces);
  for (std::size_t i = 0; i < shapes.world_boxes.size(); ++i) {
    const std::string which = indexed("world_boxes", static_cast<long>(i));
    const WorldBox& box = shapes.world_boxes[i];
    check_point(which + ".center", box.pose.translation);
    for (std::size_t k = 0; k < 3; ++k)
      if (!(box.half_size[k] > 0 && box.half_size[k] <= kMostMetres))
        throw ConfigError(which + ".half_size[" + std::to_string(k) + "]", number(box.half_size[k]),
                          "must be finite and > 0");
    const std::array<double, 9>& r = box.pose.rotation;
    for (std::size_t a = 0; a < 3; ++a)
      for (std::size_t b = 0; b < 3; ++b) {
        const double product = r[a] * r[b] + r[a + 3] * r[b + 3] + r[a + 6] * r[b + 6];
        if (!(std::fabs(product - (a == b ? 1 : 0)) <= 1e-9))
          throw ConfigError(which + ".rotation", number(product), "must be orthonormal to 1e-9");
      }
  }
  const auto is_link = [&](const std::string& name) {
    return std::ranges::find(kinematics.link_names(), name) != kinematics.link_names().end();
  };
  for (std::size_t i = 0; i < shapes.ignore.size(); ++i)
    for (const std::string& link : {shapes.ignore[i].first, shapes.ignore[i].second}) {
      if (link != "world" && !is_link(link))
        throw ConfigError(indexed("ignore", static_cast<long>(i)), link, "is not on the chain");
      if (link == "world" && is_link(link))
        throw ConfigError(indexed("ignore", static_cast<long>(i)), link,
                          "is ambiguous: a link has this name, and so have the surroundings");
    }
  if (shapes.capsules.empty()) throw ConfigError("capsules", "none", "needs at least one");
}

}  // namespace

struct CollisionModel::Impl {
  Kinematics kinematics;
  CollisionShapes shapes;
  GapModel model;
};

CollisionModel::CollisionModel(const Kinematics& kinematics, const CollisionShapes& shapes) {
  check_shapes(kinematics, shapes);
  impl_ = std::make_shared<const Impl>(Impl{kinematics, shapes, GapModel(kinematics, {}, &shapes)});
}

std::vector<Capsule> CollisionModel::capsules_of(const Kinematics& kinematics) {
  std::vector<Capsule> capsules;
  for (const LinkGeometry& g : kinematics.collision_geometry()) {
    const std::string& link = kinematics.link_names()[static_cast<std::size_t>(g.link)];
    Vector3 half_axis{};
    double radius = g.size[0];
    switch (g.kind) {
      case LinkGeometry::Kind::Sphere:
        break;
      case LinkGeometry::Kind::Cylinder:
        half_axis[2] = 0.5 * g.size[1];
        break;
      case LinkGeometry::Kind::Box: {
        const std::size_t k = static_cast<std::size_t>(std::ranges::max_element(g.size) - g.size.begin());
        half_axis[k] = 0.5 * g.size[k];
        radius = 0.5 * std::hypot(g.size[(k + 1) % 3], g.size[(k + 2) % 3]);
        break;
      }
      case LinkGeometry::Kind::Mesh: {
        Capsule fitted = capsule_around(g, link, kinematics.source());
        fitted.start = vla_rt::apply(g.origin, fitted.start);
        fitted.end = vla_rt::apply(g.origin, fitted.end);
        capsules.push_back(std::move(fitted));
        continue;
      }
    }
    const Vector3 other_half{-half_axis[0], -half_axis[1], -half_axis[2]};
    capsules.push_back({.start = vla_rt::apply(g.origin, other_half),
                        .end = vla_rt::apply(g.origin, half_axis),
                        .radius = radius,
                        .link = link});
  }
  return capsules;
}

double CollisionModel::distance(std::span<const double> q) const noexcept {
  JointFrames frames;
  impl_->model.place(q, frames);
  double least = std::numeric_limits<double>::infinity();
  for (const Gap& gap : impl_->model.gaps())
    least = std::min(least, impl_->model.sample(gap, frames).distance);
  return least;
}

Clearance CollisionModel::closest(std::span<const double> q) const {
  JointFrames frames;
  impl_->model.place(q, frames);
  Clearance best{.distance = std::numeric_limits<double>::infinity(), .first = {}, .second = {}};
  for (const Gap& gap : impl_->model.gaps()) {
    const double d = impl_->model.sample(gap, frames).distance;
    if (d < best.distance) best = {d, impl_->model.name(gap.first_name), impl_->model.name(gap.second_name)};
  }
  return best;
}

std::vector<Clearance> CollisionModel::overlaps(std::span<const double> q) const {
  JointFrames frames;
  impl_->model.place(q, frames);
  std::vector<Clearance> found;
  for (const Gap& gap : impl_->model.gaps()) {
    const double d = impl_->model.sample(gap, frames).distance;
    if (d > 0) continue;
    const std::string &first = impl_->model.name(gap.first_name),
                      &second = impl_->model.name(gap.second_name);
    const auto known = std::ranges::find_if(
        found, [&](const Clearance& c) { return c.first == first && c.second == second; });
    if (known == found.end())
      found.push_back({d, first, second});
    else
      known->distance = std::min(known->distance, d);
  }
  return found;
}

const Kinematics& CollisionModel::kinematics() const noexcept { return impl_->kinematics; }
const CollisionShapes& CollisionModel::shapes() const noexcept { return impl_->shapes; }
int CollisionModel::num_pairs() const noexcept { return static_cast<int>(impl_->model.gaps().size()); }

}  // namespace vla_rt
