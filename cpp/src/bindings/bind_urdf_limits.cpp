#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/constraints/joint_limits.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

// None, one number or one per joint.
std::vector<double> rates(const ArrayLike& values, const char* name) {
  if (values.is_none()) return {};
  const Array<double> a = row_major<double>(values, name);
  if (a.ndim() > 1 || a.size() == 0)
    throw ConfigError(name, "shape " + shape_text(a), "must be one number or one per joint");
  return {a.data(), a.data() + a.size()};
}

JointLimits from_urdf(const std::filesystem::path& path, const std::optional<std::string>& tip,
                      const std::optional<std::string>& base, const ArrayLike& max_velocity,
                      const ArrayLike& max_acceleration, const ArrayLike& max_jerk) {
  const UrdfLimits options{tip.value_or(""), base.value_or(""), rates(max_velocity, "max_velocity"),
                           rates(max_acceleration, "max_acceleration"), rates(max_jerk, "max_jerk")};
  std::vector<std::string> warnings;
  const JointLimits limits = JointLimits::from_urdf(path.string(), options, &warnings);
  for (const std::string& w : warnings)
    if (PyErr_WarnEx(PyExc_UserWarning, w.c_str(), 1) != 0) throw py::error_already_set();
  return limits;
}

}  // namespace

void bind_urdf_limits(py::module_& m) {
  py::class_<JointLimits> limits(m.attr("JointLimits"));
  limits.def_static(
      "from_urdf", &from_urdf, py::arg("path"), py::arg("tip") = py::none(), py::arg("base") = py::none(),
      py::arg("max_velocity") = py::none(), py::arg("max_acceleration") = py::none(),
      py::arg("max_jerk") = py::none(),
      R"(Limits as a URDF gives them: positions and velocities; the rest from arguments or defaults.

A URDF knows no acceleration and no jerk. Where the file has none as an extension (`<limit acceleration= jerk=>`) and
none is given here, max_acceleration is max_velocity / 0.5 s and max_jerk is max_acceleration / 10 ms. That is cautious:
Franka's arms are given velocity / 0.13 to 0.3 s and acceleration / 2 ms; MoveIt's defaults are 10 rad/s^2 and 1000
rad/s^3. Continuous joints get +-1e9 rad.

Args:
    path: The file.
    tip: Last link of a chain: its joints, in the order of `Kinematics.from_urdf(path, tip, base)`. None: all movable
        joints, parents before children; joints that mimic another one are left out with a warning.
    base: First link of that chain; None is the root.
    max_velocity: Instead of the file's: one number, or one per joint [rad/s] or [m/s].
    max_acceleration: As above [rad/s^2] or [m/s^2].
    max_jerk: As above [rad/s^3] or [m/s^3].

Raises:
    FormatError: The file is not a well-formed URDF; names file, line, element and value.
    ConfigError: A limit is missing, zero or inverted (names the joint), a bad argument, no such link, or an
        unsupported joint.)");
}

}  // namespace vla_rt::bindings
