#include <pybind11/pybind11.h>

#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/constraints/violation_counter.hpp"
#include "vla_rt/core/errors.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

void bind_limits(py::module_& m) {
  py::class_<JointLimits>(
      m, "JointLimits",
      "Limits of N joints on the commanded motion, exact at and between ticks.\n\n"
      "Args:\n"
      "    min_position: (N,) [rad] or [m].\n"
      "    max_position: (N,), above min_position.\n"
      "    max_velocity: (N,) [rad/s], symmetric.\n"
      "    max_acceleration: (N,) [rad/s^2], symmetric.\n"
      "    max_jerk: (N,) [rad/s^3], symmetric.\n\n"
      "Raises:\n"
      "    ConfigError: shapes differ, N is not in 1..64, or a number is not finite or out of its\n"
      "        bounds. Scalars are not broadcast.\n")
      .def(py::init([](const ArrayLike& min_position, const ArrayLike& max_position,
                       const ArrayLike& max_velocity, const ArrayLike& max_acceleration,
                       const ArrayLike& max_jerk) {
             return JointLimits::make(vector_of<double>(min_position, "min_position"),
                                      vector_of<double>(max_position, "max_position"),
                                      vector_of<double>(max_velocity, "max_velocity"),
                                      vector_of<double>(max_acceleration, "max_acceleration"),
                                      vector_of<double>(max_jerk, "max_jerk"));
           }),
           py::arg("min_position"), py::arg("max_position"), py::arg("max_velocity"),
           py::arg("max_acceleration"), py::arg("max_jerk"))
      .def_readonly("num_joints", &JointLimits::num_joints, "N.")
      .def_property_readonly(
          "min_position", [](const JointLimits& l) { return first_joints(l.min_position, l.num_joints); },
          "(N,) float64 [rad], a copy.")
      .def_property_readonly(
          "max_position", [](const JointLimits& l) { return first_joints(l.max_position, l.num_joints); },
          "(N,) float64 [rad], a copy.")
      .def_property_readonly(
          "max_velocity", [](const JointLimits& l) { return first_joints(l.max_velocity, l.num_joints); },
          "(N,) float64 [rad/s], a copy.")
      .def_property_readonly(
          "max_acceleration",
          [](const JointLimits& l) { return first_joints(l.max_acceleration, l.num_joints); },
          "(N,) float64 [rad/s^2], a copy.")
      .def_property_readonly(
          "max_jerk", [](const JointLimits& l) { return first_joints(l.max_jerk, l.num_joints); },
          "(N,) float64 [rad/s^3], a copy.")
      .def("__repr__", [](const JointLimits& l) {
        return "JointLimits(num_joints=" + std::to_string(l.num_joints) + ")";
      });
}

void bind_counter(py::module_& m) {
  py::class_<ViolationCounter>(
      m, "ViolationCounter",
      "Judge of emitted positions, independent of whoever made them: re-differentiates positions alone.\n\n"
      "A violation is |d^k q| / dt^k > limit (1 + 1e-6) + 2^k 8 eps max(1, |q|) / dt^k for k = 1, 2, 3, or a "
      "position\n"
      "outside its range, counted once per joint, tick and order. NaN breaks all of them.\n\n"
      "Args:\n"
      "    limits: JointLimits of N joints.\n"
      "    period_s: time between positions in [1e-6, 1] s.\n\n"
      "Raises:\n"
      "    ConfigError: bad limits or period.\n")
      .def(py::init<const JointLimits&, double>(), py::arg("limits"), py::arg("period_s"))
      .def(
          "reset",
          [](ViolationCounter& c, const ArrayLike& position) {
            const Array<double> q = row_major<double>(position, "position");
            require_shape(q, "position", {c.num_joints()});
            c.reset(elements(q));
          },
          py::arg("position"), "Starts anew with the robot at rest at position (N,) [rad].")
      .def(
          "add",
          [](ViolationCounter& c, const ArrayLike& positions) {
            const Array<double> rows = row_major<double>(positions, "positions");
            if (rows.ndim() == 1)
              require_shape(rows, "positions", {c.num_joints()});
            else
              require_shape(rows, "positions", {-1, c.num_joints()});
            const std::size_t n = static_cast<std::size_t>(c.num_joints());
            const std::span<const double> all = elements(rows);
            std::int64_t found = 0;
            const py::gil_scoped_release release;
            for (std::size_t k = 0; k < all.size(); k += n) found += c.add(all.subspan(k, n));
            return found;
          },
          py::arg("positions"),
          "Judges emitted positions, (N,) or (n, N) [rad] in order; returns the number of violations found "
          "in them.\n\n"
          "Raises:\n"
          "    ConfigError: a wrong shape.\n")
      .def(
          "forgive", [](ViolationCounter& c) { c.forgive(); }, "Forgets what was counted, keeps the history.")
      .def("set_limits", &ViolationCounter::set_limits, py::arg("limits"),
           "Judges by other limits from now on.")
      .def_property_readonly("total", &ViolationCounter::total, "Violations since reset.")
      .def(
          "worst_ratio",
          [](const ViolationCounter& c, int order) {
            if (order < 1 || order > 3) throw ConfigError("order", std::to_string(order), "must be in 1..3");
            return c.worst_ratio(order);
          },
          py::arg("order"),
          "Largest |d^k q| / dt^k relative to its limit so far; 1 velocity, 2 acceleration, 3 jerk.");
}

}  // namespace

void bind_joint_limits(py::module_& m) {
  bind_limits(m);
  bind_counter(m);
}

}  // namespace vla_rt::bindings
