#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "bindings/bindings.hpp"
#include "bindings/shape_arguments.hpp"
#include "bindings/surroundings.hpp"
#include "vla_rt/constraints/collision_model.hpp"
#include "vla_rt/constraints/workspace.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

Workspace make_workspace(const py::object& lower, const py::object& upper, const py::object& link,
                         const py::object& half_spaces, const py::object& offset,
                         const std::optional<OrientationCone>& cone) {
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
  w.cone = cone;
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

Surroundings surroundings_from(const py::object& workspace, const CollisionModel* collision,
                               const py::object& chain_joints) {
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
  if (!chain_joints.is_none()) {
    long i = 0;
    for (const py::handle joint : items_of(chain_joints, "chain_joints")) {
      const std::string name = indexed("chain_joints", i++);
      if (PyIndex_Check(joint.ptr()) == 0)
        throw ConfigError(name, type_name(joint), "must be a whole number");
      surroundings.chain_joints.push_back(joint.cast<int>());
    }
    if (surroundings.chain_joints.empty())
      throw ConfigError("chain_joints", "empty", "must name joints, or be None");
  }
  return surroundings;
}

void bind_surroundings(py::module_& m) {
  bind_shapes(m);

  py::class_<OrientationCone>(m, "OrientationCone",
                              "How far an axis of a link may be tilted away from a direction.\n\n"
                              "Args:\n"
                              "    max_angle: [rad] between the two, 0.05 to 3.1.\n"
                              "    axis: (3,) in the link's frame, need not be unit; None: its z.\n"
                              "    direction: (3,) in the base frame, need not be unit; None: down, -z.\n")
      .def(py::init([](double max_angle, const py::object& axis, const py::object& direction) {
             OrientationCone cone;
             cone.max_angle = max_angle;
             if (!axis.is_none()) cone.axis = vector3(array_like(axis), "axis");
             if (!direction.is_none()) cone.direction = vector3(array_like(direction), "direction");
             return cone;
           }),
           py::arg("max_angle"), py::arg("axis") = py::none(), py::arg("direction") = py::none())
      .def_readonly("max_angle", &OrientationCone::max_angle, "[rad].")
      .def_property_readonly(
          "axis", [](const OrientationCone& c) { return array3(c.axis); }, "(3,) float64, a copy.")
      .def_property_readonly(
          "direction", [](const OrientationCone& c) { return array3(c.direction); }, "(3,) float64, a copy.");

  py::class_<Workspace>(
      m, "Workspace",
      "Where one point of the robot may be, in a box and in half-spaces of the base frame, and how its link "
      "may "
      "be tilted.\n\n"
      "Args:\n"
      "    lower: (3,) [m], -inf where open; None: open.\n"
      "    upper: (3,) [m], inf where open; None: open.\n"
      "    link: name of the link that carries the point; None: the kinematics' tip.\n"
      "    half_spaces: HalfSpace or (normal, offset) each: normal . x <= offset must hold.\n"
      "    offset: (3,) the point in the link's frame [m]; None: its origin.\n"
      "    cone: OrientationCone of an axis of the link; None: any orientation.\n\n"
      "Raises:\n"
      "    ConfigError: NaN, lower not below upper, a zero normal, a bad cone, or no wall at all.\n")
      .def(py::init(&make_workspace), py::arg("lower") = py::none(), py::arg("upper") = py::none(),
           py::arg("link") = py::none(), py::arg("half_spaces") = py::tuple(), py::arg("offset") = py::none(),
           py::arg("cone") = py::none())
      .def_property_readonly(
          "lower", [](const Workspace& w) { return array3(w.lower); }, "(3,) float64 [m], a copy.")
      .def_property_readonly(
          "upper", [](const Workspace& w) { return array3(w.upper); }, "(3,) float64 [m], a copy.")
      .def_property_readonly(
          "link",
          [](const Workspace& w) { return w.link.empty() ? py::object(py::none()) : py::str(w.link); },
          "Name of the link, None for the tip.");
}

}  // namespace vla_rt::bindings
