#include <pybind11/stl.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.hpp"
#include "bindings/shape_arguments.hpp"
#include "vla_rt/constraints/collision_model.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

// Whether the dict has exactly these keys (and perhaps "type").
bool has_keys(const py::dict& d, std::initializer_list<const char*> keys) {
  std::size_t expected = keys.size() + (d.contains("type") ? 1 : 0);
  return d.size() == expected && std::ranges::all_of(keys, [&](const char* k) { return d.contains(k); });
}

ArrayLike field(const py::dict& d, const char* key) { return array_like(d[key]); }

Capsule link_capsule(const py::handle& item, const std::string& name) {
  const std::string dot = name + ".";
  if (py::isinstance<Capsule>(item)) return item.cast<Capsule>();
  if (py::isinstance<py::dict>(item)) {
    const py::dict d = item.cast<py::dict>();
    if (has_keys(d, {"link", "start", "end", "radius"}))
      return capsule(field(d, "start"), field(d, "end"), real(d["radius"], dot + "radius"),
                     text(d["link"], dot + "link"), dot);
    if (has_keys(d, {"link", "center", "radius"}))
      return capsule(field(d, "center"), field(d, "center"), real(d["radius"], dot + "radius"),
                     text(d["link"], dot + "link"), dot);
  }
  if (py::isinstance<py::tuple>(item) || py::isinstance<py::list>(item)) {
    const py::tuple t = py::tuple(py::reinterpret_borrow<py::object>(item));
    if (t.size() == 4)
      return capsule(array_like(t[1]), array_like(t[2]), real(t[3], dot + "radius"), text(t[0], dot + "link"),
                     dot);
    if (t.size() == 3)
      return capsule(array_like(t[1]), array_like(t[1]), real(t[2], dot + "radius"), text(t[0], dot + "link"),
                     dot);
  }
  throw ConfigError(
      name, type_name(item),
      "must be a Capsule, (link, start, end, radius), (link, center, radius) or a dict of them");
}

void add_world_shape(const py::handle& item, const std::string& name, CollisionShapes& shapes) {
  const std::string dot = name + ".";
  if (py::isinstance<Capsule>(item)) return shapes.world_capsules.push_back(item.cast<Capsule>());
  if (py::isinstance<WorldBox>(item)) return shapes.world_boxes.push_back(item.cast<WorldBox>());
  if (py::isinstance<HalfSpace>(item)) return shapes.world_half_spaces.push_back(item.cast<HalfSpace>());
  if (py::isinstance<py::dict>(item)) {
    const py::dict d = item.cast<py::dict>();
    if (has_keys(d, {"center", "radius"}))
      return shapes.world_capsules.push_back(
          capsule(field(d, "center"), field(d, "center"), real(d["radius"], dot + "radius"), "", dot));
    if (has_keys(d, {"start", "end", "radius"}))
      return shapes.world_capsules.push_back(
          capsule(field(d, "start"), field(d, "end"), real(d["radius"], dot + "radius"), "", dot));
    if (has_keys(d, {"center", "size"}))
      return shapes.world_boxes.push_back(box(field(d, "center"), field(d, "size"), py::none(), dot));
    if (has_keys(d, {"center", "size", "rotation"}))
      return shapes.world_boxes.push_back(box(field(d, "center"), field(d, "size"), d["rotation"], dot));
    if (has_keys(d, {"normal", "offset"}))
      return shapes.world_half_spaces.push_back(
          half_space(field(d, "normal"), real(d["offset"], dot + "offset"), dot));
    if (has_keys(d, {"lower", "upper"})) {
      const Vector3 lower = vector3(field(d, "lower"), dot + "lower"),
                    upper = vector3(field(d, "upper"), dot + "upper");
      WorldBox b;
      for (std::size_t k = 0; k < 3; ++k) {
        b.pose.translation[k] = 0.5 * (lower[k] + upper[k]);
        b.half_size[k] = 0.5 * (upper[k] - lower[k]);
      }
      return shapes.world_boxes.push_back(b);
    }
  }
  throw ConfigError(name, type_name(item),
                    "must be a Box, Sphere, Capsule or HalfSpace, or a dict with its fields");
}

CollisionModel make_model(const Kinematics& kinematics, const py::object& capsules, const py::object& world,
                          const py::object& ignore) {
  CollisionShapes shapes;
  if (capsules.is_none()) {
    shapes.capsules = CollisionModel::capsules_of(kinematics);
  } else {
    long i = 0;
    for (const py::handle item : items_of(capsules, "capsules"))
      shapes.capsules.push_back(link_capsule(item, indexed("capsules", i++)));
  }
  long i = 0;
  for (const py::handle item : items_of(world, "world")) add_world_shape(item, indexed("world", i++), shapes);
  i = 0;
  for (const py::handle item : items_of(ignore, "ignore")) {
    const std::string name = indexed("ignore", i++);
    const py::sequence pair = items_of(py::reinterpret_borrow<py::object>(item), name);
    if (pair.size() != 2)
      throw ConfigError(name, std::to_string(pair.size()) + " names", "must be a pair of links");
    shapes.ignore.emplace_back(text(pair[0], name), text(pair[1], name));
  }
  return CollisionModel(kinematics, shapes);
}

}  // namespace

void bind_collision_model(py::module_& m) {
  py::class_<CollisionModel>(
      m, "CollisionModel",
      "Capsules on a robot's links, each against the others and against the world.\n\n"
      "Links joined by one joint, and what does not move relative to each other, are never checked.\n\n"
      "Args:\n"
      "    kinematics: Kinematics of the robot.\n"
      "    capsules: on links: Capsule or Sphere with a link, (link, start, end, radius),\n"
      "        (link, center, radius), or dicts of these names. None: fitted to the URDF's collision\n"
      "        spheres, cylinders, boxes and STL meshes, one each.\n"
      "    world: Box, Sphere, Capsule, HalfSpace (solid where normal . x <= offset) or dicts of their\n"
      "        fields; a box also as lower, upper.\n"
      "    ignore: pairs of links that may touch; 'world' stands for all of the world.\n\n"
      "Raises:\n"
      "    ConfigError: an unknown link, a number that is not finite, a negative size, a mesh that is\n"
      "        not found or no STL file, or no capsule.\n"
      "    FormatError: an STL file that is broken.\n")
      .def(py::init(&make_model), py::arg("kinematics"), py::arg("capsules") = py::none(),
           py::arg("world") = py::tuple(), py::arg("ignore") = py::tuple())
      .def_static("capsules_of", &CollisionModel::capsules_of, py::arg("kinematics"),
                  "List of Capsule around the URDF's collision spheres, cylinders, boxes and STL meshes.\n\n"
                  "Raises:\n"
                  "    ConfigError: a mesh is not found or no STL file.\n"
                  "    FormatError: an STL file is broken.\n")
      .def(
          "distance",
          [](const CollisionModel& c, const ArrayLike& q) {
            const Array<double> a = row_major<double>(q, "q");
            require_shape(a, "q", {c.kinematics().num_joints()});
            require_finite(a, "q");
            return c.distance(elements(a));
          },
          py::arg("q"),
          "Smallest distance between any two things that must not touch at q (N,) [m], exact where "
          "positive;\n"
          "negative where they overlap; inf where no pair is left to check.\n\n"
          "Raises:\n"
          "    ConfigError: a wrong shape or a number that is not finite.\n")
      .def(
          "closest",
          [](const CollisionModel& c, const ArrayLike& q) {
            const Array<double> a = row_major<double>(q, "q");
            require_shape(a, "q", {c.kinematics().num_joints()});
            require_finite(a, "q");
            const Clearance closest = c.closest(elements(a));
            return py::make_tuple(closest.distance, closest.first, closest.second);
          },
          py::arg("q"), "(distance [m], link, link or 'world') of the pair with the smallest distance.")
      .def(
          "overlaps",
          [](const CollisionModel& c, const ArrayLike& q) {
            const Array<double> a = row_major<double>(q, "q");
            require_shape(a, "q", {c.kinematics().num_joints()});
            require_finite(a, "q");
            std::vector<std::pair<std::string, std::string>> pairs;
            for (const Clearance& pair : c.overlaps(elements(a))) pairs.emplace_back(pair.first, pair.second);
            return pairs;
          },
          py::arg("q"),
          "Pairs (link, link or 'world') that overlap at q (N,). At a pose where the robot does not touch, "
          "these\n"
          "are the pairs that capsules are too coarse for: ignore them.\n\n"
          "Raises:\n"
          "    ConfigError: a wrong shape or a number that is not finite.\n")
      .def_property_readonly("num_pairs", &CollisionModel::num_pairs, "Pairs of things that are checked.");
}

}  // namespace vla_rt::bindings
