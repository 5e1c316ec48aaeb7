#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

Array<double> joint_vector(const ArrayLike& values, int n) {
  Array<double> q = row_major<double>(values, "q");
  require_shape(q, "q", {n});
  require_finite(q, "q");
  return q;
}

py::array_t<double> matrix(const Transform& t) {
  py::array_t<double> out({4, 4});
  auto m = out.mutable_unchecked<2>();
  for (py::ssize_t i = 0; i < 3; ++i) {
    for (py::ssize_t j = 0; j < 3; ++j) m(i, j) = t.rotation[static_cast<std::size_t>(3 * i + j)];
    m(i, 3) = t.translation[static_cast<std::size_t>(i)];
    m(3, i) = 0;
  }
  m(3, 3) = 1;
  return out;
}

py::dict limits_of(const Kinematics& k) {
  const auto n = static_cast<py::ssize_t>(k.num_joints());
  const auto array = [n](const JointArray& a) { return py::array_t<double>(n, a.data()); };
  py::dict d;
  d["min_position"] = array(k.limits().min_position);
  d["max_position"] = array(k.limits().max_position);
  d["max_velocity"] = array(k.limits().max_velocity);
  d["max_acceleration"] = array(k.limits().max_acceleration);
  d["max_jerk"] = array(k.limits().max_jerk);
  return d;
}

// Warnings of the file become Python warnings, once per load.
Kinematics warned(Kinematics k) {
  for (const std::string& w : k.warnings())
    if (PyErr_WarnEx(PyExc_UserWarning, w.c_str(), 1) != 0) throw py::error_already_set();
  return k;
}

}  // namespace

void bind_kinematics(py::module_& m) {
  py::class_<Kinematics>(m, "Kinematics",
                         R"(Forward kinematics and Jacobian of a serial chain read from a URDF.

Joints: fixed, revolute, continuous, prismatic; mimic tags are ignored with a warning. Links that hang on the chain by
fixed joints belong to it. Immutable: any number of threads may use one object.)")
      .def_static(
          "from_urdf",
          [](const std::string& path, const std::string& tip, const std::optional<std::string>& base) {
            return warned(Kinematics::from_urdf(path, tip, base.value_or("")));
          },
          py::arg("path"), py::arg("tip"), py::arg("base") = py::none(),
          R"(Reads the chain from link `base` (the root when None) to link `tip`.

Raises:
    FormatError: the file is not a well-formed URDF; names file, line, element and value.
    ConfigError: no such link, the tip does not descend from the base, or an unsupported joint lies between.)")
      .def_property_readonly("num_joints", &Kinematics::num_joints, "N: movable joints between base and tip.")
      .def_property_readonly("joint_names", &Kinematics::joint_names, "Names of the N joints, base first.")
      .def_property_readonly("link_names", &Kinematics::link_names,
                             "Links on the chain and on what hangs on it.")
      .def_property_readonly(
          "limits", &limits_of,
          "dict of (N,) arrays: min_position, max_position [rad or m], max_velocity [rad/s], "
          "max_acceleration, max_jerk; infinite where the URDF leaves them open.")
      .def(
          "forward",
          [](const Kinematics& k, const ArrayLike& q) {
            return matrix(k.forward(elements(joint_vector(q, k.num_joints()))));
          },
          py::arg("q"), "Pose of the tip in the base frame, (4, 4), for joint positions q (N,) [rad or m].")
      .def(
          "link_transforms",
          [](const Kinematics& k, const ArrayLike& q) {
            std::vector<Transform> poses(k.link_names().size());
            k.link_transforms(elements(joint_vector(q, k.num_joints())), poses);
            py::dict out;
            for (std::size_t i = 0; i < poses.size(); ++i) out[py::str(k.link_names()[i])] = matrix(poses[i]);
            return out;
          },
          py::arg("q"), "Poses of all links in the base frame: dict of name to (4, 4).")
      .def(
          "jacobian",
          [](const Kinematics& k, const ArrayLike& q) {
            py::array_t<double> out({6, k.num_joints()});
            k.jacobian(elements(joint_vector(q, k.num_joints())),
                       {out.mutable_data(), static_cast<std::size_t>(out.size())});
            return out;
          },
          py::arg("q"), "Geometric Jacobian at the tip, (6, N): linear rows first, axes of the base frame.");
}

}  // namespace vla_rt::bindings
