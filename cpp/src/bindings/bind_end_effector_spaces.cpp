#include <pybind11/pybind11.h>

#include <memory>

#include "bindings/action_spaces.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/action_space/end_effector_space.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {

void bind_end_effector_spaces(py::module_& m) {
  Class<EndEffectorPoseSpace, BoundedActionSpace>(m, "EndEffectorPoseSpace",
                                                  "Pose of the tool: position x, y, z [m] and quaternion x, "
                                                  "y, z, w; D = 7. With the gripper, 0 open .. 1 "
                                                  "closed, D = 8.")
      .def(picklable<EndEffectorPoseSpace>())
      .def(py::init([](const ArrayLike& lower, const ArrayLike& upper) {
             return std::make_shared<EndEffectorPoseSpace>(vector_of<double>(lower, "lower"),
                                                           vector_of<double>(upper, "upper"));
           }),
           py::arg("lower"), py::arg("upper"),
           "Bounds of the position (3,), the quaternion's being +-1 then, of all seven numbers (7,), or of "
           "those and the gripper (8,).")
      .def(
          "to_transform",
          [](const EndEffectorPoseSpace& s, const ArrayLike& a) {
            const Array<double> in = checked(a, "actions", s.dimension());
            Array<double> out = with_last<double>(in, 1, {4, 4});
            const auto from = elements(in);
            const auto to = mutable_elements(out);
            without_gil(in.size() * 16, [&] { s.to_transform(from, to); });
            return out;
          },
          py::arg("a"),
          "Poses (..., D) to transforms (..., 4, 4); the quaternion is normalised, 0 is a ConfigError.");
  Class<EndEffectorDeltaSpace, BoundedActionSpace>(m, "EndEffectorDeltaSpace",
                                                   "Small motion of the tool: dx, dy, dz [m], droll, dpitch, "
                                                   "dyaw [rad], gripper 0 open .. 1 closed; D = 7.")
      .def(picklable<EndEffectorDeltaSpace>())
      .def(py::init<double, double>(), py::arg("max_translation") = 0.05, py::arg("max_rotation") = 0.1,
           "Bounds per axis [m] and [rad], > 0. Raises ConfigError.")
      .def_property_readonly("max_translation", &EndEffectorDeltaSpace::max_translation, "[m]")
      .def_property_readonly("max_rotation", &EndEffectorDeltaSpace::max_rotation, "[rad]")
      .def(
          "to_transform",
          [](const EndEffectorDeltaSpace& s, const ArrayLike& a) {
            const Array<double> in = row_major<double>(a, "actions");
            const int width = in.ndim() > 0 && in.shape(in.ndim() - 1) == 6 ? 6 : 7;
            require_last(in, "actions", {width});
            require_finite(in, "actions");
            Array<double> out = with_last<double>(in, 1, {4, 4});
            const auto from = elements(in);
            const auto to = mutable_elements(out);
            without_gil(in.size() * 16, [&] { s.to_transform(from, to, width); });
            return out;
          },
          py::arg("a"),
          "Raw actions (..., 7), or (..., 6) without gripper, to transforms (..., 4, 4). The angles turn "
          "about the\n"
          "fixed axes x, y, z (scipy's lower-case 'xyz'). Nothing is clipped.");
}

}  // namespace vla_rt::bindings
