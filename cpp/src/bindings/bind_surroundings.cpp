#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/surroundings.hpp"
#include "vla_rt/constraints/collision_model.hpp"
#include "vla_rt/constraints/workspace.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

ArrayLike array_like(const py::object& object) { return py::reinterpret_borrow<ArrayLike>(object); }

Vector3 vector3(const ArrayLike& values, const std::string& name) {
  const Array<double> a = row_major<double>(values, name);
  require_shape(a, name, {3});
  return {a.data()[0], a.data()[1], a.data()[2]};
}

py::array_t<double> array3(const Vector3& v) { return py::array_t<double>(3, v.data()); }

std::array<double, 9> rotation(const ArrayLike& values, const std::string& name) {
  const Array<double> a = row_major<double>(values, name);
  require_shape(a, name, {3, 3});
  std::array<double, 9> r{};
  std::copy_n(a.data(), 9, r.begin());
  return r;
}

std::string type_name(const py::handle& object) {
  return py::str(py::type::of(object).attr("__name__")).cast<std::string>();
}

Capsule capsule(const ArrayLike& start, const ArrayLike& end, double radius, const std::string& link,
                const std::string& name) {
  return {.start = vector3(start, name + "start"),
          .end = vector3(end, name + "end"),
          .radius = radius,
          .link = link};
}

WorldBox box(const ArrayLike& center, const ArrayLike& size, const py::object& turn,
             const std::string& name) {
  WorldBox b;
  b.pose.translation = vector3(center, name + "center");
  const Vector3 edges = vector3(size, name + "size");
  b.half_size = {0.5 * edges[0], 0.5 * edges[1], 0.5 * edges[2]};
  if (!turn.is_none()) b.pose.rotation = rotation(array_like(turn), name + "rotation");
  return b;
}

HalfSpace half_space(const ArrayLike& normal, double offset, const std::string& name) {
  return {vector3(normal, name + "normal"), offset};
}

double real(const py::handle& value, const std::string& name) {
  try {
    return value.cast<double>();
  } catch (const py::cast_error&) {
    throw ConfigError(name, type_name(value), "must be a number");
  }
}

std::string text(const py::handle& value, const std::string& name) {
  if (!py::isinstance<py::str>(value)) throw ConfigError(name, type_name(value), "must be a link's name");
  return value.cast<std::string>();
}

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

py::sequence items_of(const py::object& object, const std::string& name) {
  if (!py::isinstance<py::sequence>(object) || py::isinstance<py::str>(object))
    throw ConfigError(name, type_name(object), "must be a list");
  return object.cast<py::sequence>();
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

Workspace make_workspace(const py::object& lower, const py::object& upper, const py::object& link,
                         const py::object& half_spaces, const py::object& offset) {
  Workspace w;
  if (!lower.is_none()) w.lower = vector3(array_like(lower), "lower");
  if (!upper.is_none()) w.upper = vector3(array_like(upper), "upper");
  if (!link.is_none()) w.link = text(link, "link");
  if (!offset.is_none()) w.offset = vector3(array_like(offset), "offset");
  long i = 0;
  for (const py::handle item : items_of(half_spaces, "half_spaces")) {
    const std::string name = indexed("half_spaces", i++);
    if (py::isinstance<HalfSpace>(item)) {
      w.half_spaces.push_back(item.cast<HalfSpace>());
      continue;
    }
    const py::sequence pair = items_of(py::reinterpret_borrow<py::object>(item), name);
    if (pair.size() != 2)
      throw ConfigError(name, std::to_string(pair.size()) + " values", "must be (normal, offset)");
    w.half_spaces.push_back(half_space(array_like(pair[0]), real(pair[1], name + ".offset"), name + "."));
  }
  w.validate();
  return w;
}

void bind_shapes(py::module_& m) {
  py::class_<HalfSpace>(m, "HalfSpace",
                        "All points x of the base frame with normal . x <= offset.\n\n"
                        "Args:\n"
                        "    normal: (3,), need not be unit.\n"
                        "    offset: in the normal's length; [m] for a unit normal.\n")
      .def(py::init([](const ArrayLike& normal, double offset) { return half_space(normal, offset, ""); }),
           py::arg("normal"), py::arg("offset"))
      .def_property_readonly(
          "normal", [](const HalfSpace& h) { return array3(h.normal); }, "(3,) float64, a copy.")
      .def_readonly("offset", &HalfSpace::offset, "normal . x of its face.");

  py::class_<Capsule>(m, "Capsule",
                      "All points within `radius` of a line segment, on a link or in the world.\n\n"
                      "Args:\n"
                      "    start: (3,) [m], in the link's frame (the base's without one).\n"
                      "    end: (3,) [m].\n"
                      "    radius: [m].\n"
                      "    link: name of the link that carries it; None: the world.\n")
      .def(py::init([](const ArrayLike& start, const ArrayLike& end, double radius, const py::object& link) {
             return capsule(start, end, radius, link.is_none() ? "" : text(link, "link"), "");
           }),
           py::arg("start"), py::arg("end"), py::arg("radius"), py::arg("link") = py::none())
      .def_property_readonly(
          "start", [](const Capsule& c) { return array3(c.start); }, "(3,) float64 [m], a copy.")
      .def_property_readonly(
          "end", [](const Capsule& c) { return array3(c.end); }, "(3,) float64 [m], a copy.")
      .def_readonly("radius", &Capsule::radius, "[m].")
      .def_property_readonly(
          "link", [](const Capsule& c) { return c.link.empty() ? py::object(py::none()) : py::str(c.link); },
          "Name of the link, None for the world.")
      .def("__repr__", [](const Capsule& c) {
        return "Capsule(radius=" + number(c.radius) + ", link=" + (c.link.empty() ? "None" : c.link) + ")";
      });
  m.def(
      "Sphere",
      [](const ArrayLike& center, double radius, const py::object& link) {
        return capsule(center, center, radius, link.is_none() ? "" : text(link, "link"), "");
      },
      py::arg("center"), py::arg("radius"), py::arg("link") = py::none(),
      "A Capsule whose ends are one point, center (3,) [m]; radius [m]; link None: in the world.");

  py::class_<WorldBox>(m, "Box",
                       "A solid box in the world.\n\n"
                       "Args:\n"
                       "    center: (3,) [m] in the base frame.\n"
                       "    size: (3,) full edges [m].\n"
                       "    rotation: (3, 3) from the box's axes to the base frame; None: aligned.\n")
      .def(py::init([](const ArrayLike& center, const ArrayLike& size, const py::object& turn) {
             return box(center, size, turn, "");
           }),
           py::arg("center"), py::arg("size"), py::arg("rotation") = py::none())
      .def_property_readonly(
          "center", [](const WorldBox& b) { return array3(b.pose.translation); }, "(3,) float64 [m], a copy.")
      .def_property_readonly(
          "size",
          [](const WorldBox& b) {
            return array3({2 * b.half_size[0], 2 * b.half_size[1], 2 * b.half_size[2]});
          },
          "(3,) float64 [m], a copy.");
}

}  // namespace

Surroundings surroundings_from(const py::object& workspace, const CollisionModel* collision) {
  Surroundings surroundings;
  const auto add = [&](const py::handle& item) {
    if (!py::isinstance<Workspace>(item))
      throw ConfigError("workspace", type_name(item), "must be a Workspace or a list of them");
    surroundings.workspaces.push_back(item.cast<Workspace>());
  };
  if (py::isinstance<py::sequence>(workspace))
    for (const py::handle item : workspace) add(item);
  else if (!workspace.is_none())
    add(workspace);
  if (collision != nullptr) surroundings.collision = *collision;
  return surroundings;
}

void bind_surroundings(py::module_& m) {
  bind_shapes(m);

  py::class_<Workspace>(
      m, "Workspace",
      "Where one point of the robot may be: in a box and in half-spaces of the base frame.\n\n"
      "Args:\n"
      "    lower: (3,) [m], -inf where open; None: open.\n"
      "    upper: (3,) [m], inf where open; None: open.\n"
      "    link: name of the link that carries the point; None: the kinematics' tip.\n"
      "    half_spaces: HalfSpace or (normal, offset) each: normal . x <= offset must hold.\n"
      "    offset: (3,) the point in the link's frame [m]; None: its origin.\n\n"
      "Raises:\n"
      "    ConfigError: NaN, lower not below upper, a zero normal, or no wall at all.\n")
      .def(py::init(&make_workspace), py::arg("lower") = py::none(), py::arg("upper") = py::none(),
           py::arg("link") = py::none(), py::arg("half_spaces") = py::tuple(), py::arg("offset") = py::none())
      .def_property_readonly(
          "lower", [](const Workspace& w) { return array3(w.lower); }, "(3,) float64 [m], a copy.")
      .def_property_readonly(
          "upper", [](const Workspace& w) { return array3(w.upper); }, "(3,) float64 [m], a copy.")
      .def_property_readonly(
          "link",
          [](const Workspace& w) { return w.link.empty() ? py::object(py::none()) : py::str(w.link); },
          "Name of the link, None for the tip.");

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
