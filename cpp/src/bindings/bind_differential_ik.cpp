#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/differential_ik_options.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

Pose pose_from(const double* p) { return {{p[0], p[1], p[2]}, {p[3], p[4], p[5], p[6]}}; }
Twist twist_from(const double* t) { return {{t[0], t[1], t[2]}, {t[3], t[4], t[5]}}; }

py::array_t<double> array_from(const Pose& pose) {
  py::array_t<double> out(7);
  double* const p = out.mutable_data();
  std::copy(pose.position.begin(), pose.position.end(), p);
  std::copy(pose.rotation.begin(), pose.rotation.end(), p + 3);
  return out;
}

void require_start(const DifferentialIk& ik) {
  if (!ik.has_start()) throw ConfigError("position", "", "call reset(position) first");
}

py::tuple answer(const DifferentialIk& ik, const DifferentialIkReport& report) {
  return py::make_tuple(array_of(ik.position()), array_of(ik.velocity()), report);
}

py::tuple update(DifferentialIk& ik, const ArrayLike& pose, const ArrayLike& twist) {
  require_start(ik);
  const Array<double> p = row_major<double>(pose, "pose");
  require_shape(p, "pose", {7});
  DifferentialIkReport report;
  if (twist.is_none()) {
    ik.update(pose_from(p.data()), report);
  } else {
    const Array<double> t = row_major<double>(twist, "twist");
    require_shape(t, "twist", {6});
    ik.update(pose_from(p.data()), twist_from(t.data()), report);
  }
  return answer(ik, report);
}

py::tuple update_delta(DifferentialIk& ik, const ArrayLike& delta, const std::string& frame) {
  require_start(ik);
  const Array<double> d = row_major<double>(delta, "delta");
  require_shape(d, "delta", {6});
  const Twist t = twist_from(d.data());
  DifferentialIkReport report;
  ik.update_delta(t.linear, t.angular, delta_frame_from(frame, "frame"), report);
  return answer(ik, report);
}

py::dict run(DifferentialIk& ik, const ArrayLike& poses, const ArrayLike& twists) {
  require_start(ik);
  const Array<double> p = row_major<double>(poses, "poses");
  require_shape(p, "poses", {-1, 7});
  const py::ssize_t ticks = p.shape(0), n = ik.num_joints();
  std::optional<Array<double>> t;
  if (!twists.is_none()) {
    t = row_major<double>(twists, "twists");
    require_shape(*t, "twists", {ticks, 6});
  }
  Array<double> position({ticks, n}), velocity({ticks, n});
  Array<double> position_error(ticks), rotation_error(ticks), singular_value(ticks);
  Array<bool> limited(ticks);
  double *const q = position.mutable_data(), *const dq = velocity.mutable_data();
  double *const ep = position_error.mutable_data(), *const er = rotation_error.mutable_data();
  double* const sigma = singular_value.mutable_data();
  bool* const is_limited = limited.mutable_data();
  without_gil(ticks * 64, [&] {
    DifferentialIkReport report;
    for (py::ssize_t k = 0; k < ticks; ++k) {
      if (t)
        ik.update(pose_from(p.data() + 7 * k), twist_from(t->data() + 6 * k), report);
      else
        ik.update(pose_from(p.data() + 7 * k), report);
      std::copy_n(ik.position().data(), n, q + n * k);
      std::copy_n(ik.velocity().data(), n, dq + n * k);
      ep[k] = report.position_error;
      er[k] = report.rotation_error;
      sigma[k] = report.singular_value;
      is_limited[k] = report.status != Status::Ok;
    }
  });
  py::dict d;
  d["position"] = position;
  d["velocity"] = velocity;
  d["position_error"] = position_error;
  d["rotation_error"] = rotation_error;
  d["singular_value"] = singular_value;
  d["limited"] = limited;
  return d;
}

}  // namespace

void bind_differential_ik(py::module_& m) {
  py::class_<DifferentialIkReport>(m, "DifferentialIkReport", "What one tick of a DifferentialIk came to.")
      .def_readonly("status", &DifferentialIkReport::status,
                    "ok; limited: the pose was not met within 1e-4 m and 1e-3 rad; non_finite: the pose was "
                    "refused and the last good one is kept.")
      .def_readonly("position_error", &DifferentialIkReport::position_error, "Left after this tick [m].")
      .def_readonly("rotation_error", &DifferentialIkReport::rotation_error, "Left after this tick [rad].")
      .def_readonly("singular_value", &DifferentialIkReport::singular_value,
                    "Estimate of the smallest one of the scaled Jacobian [m/rad]; 0 in a singularity.");

  py::class_<DifferentialIk>(
      m, "DifferentialIk",
      R"(Tool poses in, joint positions out: differential inverse kinematics, one bounded step per tick.

Damped least squares within the joints' position limits, slowed to their velocity limits; damping varies with the
nearness of singularities (Nakamura and Hanafusa 1986; Chiaverini 1997) and with the error, so that an arm that cannot
reach comes to rest. Orientation errors are rotation vectors: q and -q are the same, no Euler angle is interpolated.
Feed its result to a `ConstraintEnforcer`, which keeps the last word.

Poses are (7,): position x, y, z [m] and unit quaternion x, y, z, w, in the base frame of the chain. Twists are (6,):
linear [m/s] above angular [rad/s] velocity, axes of the base frame.

Args:
    kinematics: The chain; its tip is the tool.
    limits: Of its N joints.
    period_s: Between ticks, in (0, 1] s.
    rotation_scale: One radian of orientation error counts as so many metres [m/rad]; matters where position and
        orientation cannot both be met.
    singular_value: Singular values of the scaled Jacobian below this are damped [m/rad].
    posture: Where joints drift to that the tool leaves free (N,); None is the position of `reset`.
    posture_gain: How fast [1/s]; 0 is not at all.

Raises:
    ConfigError: Kinematics and limits differ in joints, or a value is out of its bounds.)")
      .def(py::init([](const Kinematics& kinematics, const JointLimits& limits, double period_s,
                       double rotation_scale, double singular_value, const ArrayLike& posture,
                       double posture_gain) {
             return DifferentialIk(
                 kinematics, limits, period_s,
                 differential_ik_options(rotation_scale, singular_value, posture, posture_gain));
           }),
           py::arg("kinematics"), py::arg("limits"), py::arg("period_s"), py::kw_only(),
           py::arg("rotation_scale") = DifferentialIkOptions{}.rotation_scale,
           py::arg("singular_value") = DifferentialIkOptions{}.singular_value,
           py::arg("posture") = py::none(), py::arg("posture_gain") = DifferentialIkOptions{}.posture_gain)
      .def_property_readonly("num_joints", &DifferentialIk::num_joints, "N.")
      .def_property_readonly("period_s", &DifferentialIk::period_s, "Between ticks [s].")
      .def(
          "reset",
          [](DifferentialIk& ik, const ArrayLike& position) {
            ik.reset(vector_of<double>(position, "position"));
          },
          py::arg("position"), R"(Start at joint positions (N,), with the tool's pose there as the target.

Raises:
    ConfigError: A wrong number of joints, a number that is not finite or outside the limits; nothing changes.)")
      .def("update", &update, py::arg("pose"), py::arg("twist") = py::none(),
           R"(One tick towards `pose` (7,), which moves with `twist` (6,).

Without a twist it is taken from the change of the pose since the last tick, unless that is more than the joints can
do: then it is a jump to a pose at rest.

NaN, infinity and quaternions whose length is not 1 within 1e-3 are refused with `report.status`: the last good target
is kept.

Returns:
    (position (N,), velocity (N,), DifferentialIkReport): target and feed-forward for `ConstraintEnforcer.apply`.

Raises:
    ConfigError: A wrong shape, or no `reset` yet.)")
      .def("update_delta", &update_delta, py::arg("delta"), py::arg("frame") = "base",
           R"(One tick towards the present target moved by `delta` (6,), which becomes the target.

Deltas accumulate on what was asked for, not on what was reached.

Args:
    delta: Translation [m], then roll, pitch, yaw [rad] about fixed axes x, y, z, as `EndEffectorDeltaSpace` has them.
    frame: "base": translation along and rotation about the base's axes, the tool turning about its own origin.
        "tool": both along the tool's own axes, pose · delta.

Returns:
    As `update`.

Raises:
    ConfigError: A wrong shape, another frame, or no `reset` yet.)")
      .def("run", &run, py::arg("poses"), py::arg("twists") = py::none(),
           R"(`update` for every row of `poses` (n, 7) and `twists` (n, 6), in C++.

Returns:
    dict: position, velocity (n, N), position_error [m], rotation_error [rad], singular_value (n,), limited (n,) bool.

Raises:
    ConfigError: A wrong shape, or no `reset` yet.)")
      .def(
          "follow",
          [](DifferentialIk& ik, const ArrayLike& position) {
            require_start(ik);
            const std::vector<double> q = vector_of<double>(position, "position");
            if (q.size() != static_cast<std::size_t>(ik.num_joints()))
              throw ConfigError("position", std::to_string(q.size()) + " numbers",
                                "must have " + std::to_string(ik.num_joints()));
            ik.follow(q);
          },
          py::arg("position"),
          "Take joint positions (N,) as its own, within the limits, with the tool's pose there as the "
          "target.")
      .def_property_readonly(
          "position", [](const DifferentialIk& ik) { return array_of(ik.position()); },
          "Joint positions after the last tick (N,) [rad] or [m].")
      .def_property_readonly(
          "velocity", [](const DifferentialIk& ik) { return array_of(ik.velocity()); }, "(N,) [rad/s].")
      .def_property_readonly(
          "pose", [](const DifferentialIk& ik) { return array_from(ik.pose()); },
          "The tool's pose at `position` (7,).")
      .def_property_readonly(
          "target", [](const DifferentialIk& ik) { return array_from(ik.target()); },
          "Where the tool shall be (7,).");
}

}  // namespace vla_rt::bindings
