#include <algorithm>
#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/enforcer_report.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {

py::dict to_dict(const WishLogEntry& entry) {
  py::dict item;
  item["joint"] = entry.joint;
  item["cause"] = to_string(entry.cause);
  item["wanted"] = entry.wanted;
  item["given"] = entry.given;
  item["time_s"] = entry.time_s;
  return item;
}

py::frozenset PythonReport::limited() const {
  unsigned all = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(num_joints); ++i) all |= report.causes[i];
  py::set names;
  for (const Cause cause : kCauses)
    if ((all & static_cast<unsigned>(cause)) != 0) names.add(to_string(cause));
  return py::frozenset(names);
}

py::array_t<std::uint8_t> PythonReport::causes() const {
  py::array_t<std::uint8_t> array(num_joints);
  std::copy_n(report.causes.begin(), num_joints, array.mutable_data());
  return array;
}

py::dict PythonReport::distance_to_limit() const {
  py::dict d;
  d[to_string(Cause::Position)] = first_joints(report.position_distance, num_joints);
  d[to_string(Cause::Velocity)] = first_joints(report.velocity_distance, num_joints);
  d[to_string(Cause::Acceleration)] = first_joints(report.acceleration_distance, num_joints);
  d[to_string(Cause::Jerk)] = first_joints(report.jerk_distance, num_joints);
  d[to_string(Cause::Workspace)] = report.workspace_distance;
  d[to_string(Cause::Collision)] = report.clearance;
  return d;
}

py::list PythonReport::log_dicts() const {
  py::list entries;
  for (const WishLogEntry& entry : log) entries.append(to_dict(entry));
  return entries;
}

void bind_enforcer_report(py::module_& m) {
  py::class_<PythonReport>(m, "EnforcerReport", "What one `ConstraintEnforcer.apply` did.")
      .def_property_readonly(
          "status", [](const PythonReport& r) { return r.report.status; },
          "Status: Ok, Limited, NonFinite or Fault.")
      .def_property_readonly(
          "limited", &PythonReport::limited,
          "frozenset of the causes that changed the wish, over all joints: position, velocity,\n"
          "acceleration, jerk, workspace, collision, non_finite. Empty when the target was followed as it "
          "was.")
      .def_property_readonly(
          "causes", &PythonReport::causes,
          "(N,) uint8 bit mask per joint: 1 position, 2 velocity, 4 acceleration, 8 jerk,\n"
          "16 workspace, 32 collision, 64 non_finite.")
      .def_property_readonly(
          "deviation", [](const PythonReport& r) { return first_joints(r.report.deviation, r.num_joints); },
          "(N,) float64 [rad]: target (the held one if it was not finite) minus command.")
      .def_property_readonly(
          "distance_to_limit", &PythonReport::distance_to_limit,
          "dict cause -> how much the command leaves, >= 0: position, velocity, acceleration, jerk: (N,) to\n"
          "the nearer limit [rad], [rad/s], ...; workspace: from the nearest point to the nearest wall [m];\n"
          "collision: the smallest distance between things that must not touch [m]. inf without any.")
      .def_property_readonly(
          "log", &PythonReport::log_dicts,
          "list of dicts joint, cause, wanted, given, time_s, oldest first: every wish since reset\n"
          "that could not be granted, the newest 256. An entry is written when a cause begins to act\n"
          "on a joint, not again while it lasts. wanted: of a position the target; of a rate what\n"
          "reaching the target in that tick would have taken.")
      .def("__repr__", [](const PythonReport& r) {
        return "EnforcerReport(status=" + std::string(to_string(r.report.status)) +
               ", limited=" + std::string(py::str(py::list(r.limited()))) + ")";
      });
}

}  // namespace vla_rt::bindings
