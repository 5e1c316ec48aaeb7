#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/differential_ik_options.hpp"
#include "vla_rt/execution/cartesian_actions.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {

void bind_cartesian_actions(py::module_& m) {
  py::class_<GripperJoint>(m, "GripperJoint",
                           R"(The joint that opens and closes a robot's gripper.

An action's gripper number g, 0 open .. 1 closed, asks for open_position + g (closed_position - open_position).

Args:
    joint: Which of the robot's N joints; the others are the arm's, in order.
    open_position: [rad] or [m].
    closed_position: [rad] or [m].)")
      .def(py::init([](int joint, double open_position, double closed_position) {
             return GripperJoint{joint, open_position, closed_position};
           }),
           py::arg("joint"), py::arg("open_position"), py::arg("closed_position"))
      .def_readonly("joint", &GripperJoint::joint, "Which of the robot's N joints.")
      .def_readonly("open_position", &GripperJoint::open_position, "[rad] or [m].")
      .def_readonly("closed_position", &GripperJoint::closed_position, "[rad] or [m].")
      .def("__eq__",
           [](const GripperJoint& a, const py::object& other) {
             if (!py::isinstance<GripperJoint>(other)) return false;
             const auto b = other.cast<GripperJoint>();
             return a.joint == b.joint && a.open_position == b.open_position &&
                    a.closed_position == b.closed_position;
           })
      .def("__hash__", [](const GripperJoint& g) {
        return py::hash(py::make_tuple(g.joint, g.open_position, g.closed_position));
      });

  py::class_<CartesianConfig>(
      m, "CartesianConfig", "How actions of the tool move a robot, checked; made by `vla_rt.ControlConfig`.")
      .def(
          py::init([](const Kinematics& kinematics, const std::string& action_space, int action_dim,
                      const std::string& delta_frame, const std::optional<GripperJoint>& gripper,
                      const ArrayLike& posture, double rotation_scale) {
            const DifferentialIkOptions defaults;
            CartesianConfig config{
                kinematics,
                action_space_kind_from_string(action_space, "action_space"),
                action_dim,
                delta_frame_from(delta_frame, "delta_frame"),
                gripper,
                differential_ik_options(rotation_scale, defaults.singular_value, posture, defaults.posture_gain)};
            config.validate();
            return config;
          }),
          py::kw_only(), py::arg("kinematics"), py::arg("action_space"), py::arg("action_dim"),
          py::arg("delta_frame"), py::arg("gripper"), py::arg("posture"), py::arg("rotation_scale"));
}

}  // namespace vla_rt::bindings
