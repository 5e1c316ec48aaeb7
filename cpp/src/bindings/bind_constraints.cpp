#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/enforcer_report.hpp"
#include "bindings/surroundings.hpp"
#include "vla_rt/constraints/collision_model.hpp"
#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

using OptionalArray = std::optional<ArrayLike>;

// One number per joint, or none where the argument is None.
class Numbers {
 public:
  Numbers(const ConstraintEnforcer& enforcer, const OptionalArray& values, const char* name) {
    if (!values) return;
    array_ = row_major<double>(*values, name);
    require_shape(array_, name, {enforcer.num_joints()});
  }
  operator std::span<const double>() const { return elements(array_); }

 private:
  Array<double> array_;
};

void require_start(const ConstraintEnforcer& enforcer) {
  if (!enforcer.has_start())
    throw ConfigError("position", "unknown", "call reset(position) before the first command");
}

py::tuple apply(ConstraintEnforcer& enforcer, const ArrayLike& target, const OptionalArray& feedforward) {
  require_start(enforcer);
  const Numbers wish(enforcer, target, "target"), velocity(enforcer, feedforward, "feedforward_velocity");
  PythonReport report;
  report.num_joints = enforcer.num_joints();
  enforcer.apply(wish, velocity, report.report);
  report.log.resize(
      static_cast<std::size_t>(std::min<std::int64_t>(enforcer.log_count(), enforcer.kLogCapacity)));
  report.log.resize(static_cast<std::size_t>(enforcer.copy_log(report.log)));
  return py::make_tuple(array_of<double>(enforcer.position()), std::move(report));
}

// Rows (n, N) of numbers, one of them per tick; none where the argument is None.
Array<double> rows_of(const OptionalArray& values, const char* name, py::ssize_t ticks, int num_joints) {
  if (!values) return {};
  Array<double> rows = row_major<double>(*values, name);
  require_shape(rows, name, {ticks, num_joints});
  return rows;
}

py::dict run(ConstraintEnforcer& enforcer, const ArrayLike& targets, const OptionalArray& feedforward,
             int substeps) {
  require_start(enforcer);
  if (substeps < 1 || substeps > 1000)
    throw ConfigError("substeps", std::to_string(substeps), "must be in 1..1000");
  const std::size_t n = static_cast<std::size_t>(enforcer.num_joints());
  const Array<double> wishes = rows_of(targets, "targets", -1, enforcer.num_joints());
  const py::ssize_t ticks = wishes.shape(0), rows = ticks * substeps;
  const Array<double> velocities = rows_of(feedforward, "feedforward", ticks, enforcer.num_joints());
  const auto matrix = [&] { return Array<double>({rows, wishes.shape(1)}); };
  Array<double> position = matrix(), velocity = matrix(), acceleration = matrix(), jerk = matrix();
  py::array_t<bool> limited(ticks);
  const std::span<const double> wish = elements(wishes), wish_velocity = elements(velocities);
  double *q = position.mutable_data(), *v = velocity.mutable_data(), *a = acceleration.mutable_data(),
         *j = jerk.mutable_data();
  bool* was_limited = limited.mutable_data();
  {
    const py::gil_scoped_release release;
    EnforcerReport report;
    JointArray last_acceleration{};
    const double dt = enforcer.period_s() / substeps;
    for (std::size_t k = 0; k < static_cast<std::size_t>(ticks); ++k) {
      std::copy_n(enforcer.acceleration().begin(), n, last_acceleration.begin());
      enforcer.apply(wish.subspan(k * n, n),
                     wish_velocity.empty() ? wish_velocity : wish_velocity.subspan(k * n, n), report);
      was_limited[k] = report.status != Status::Ok;
      for (int s = 1; s <= substeps; ++s) {
        enforcer.sample_last_tick(static_cast<double>(s) / substeps, {q, n}, {v, n}, {a, n});
        for (std::size_t i = 0; i < n; ++i) {
          j[i] = substeps == 1 ? enforcer.jerk()[i] : (a[i] - last_acceleration[i]) / dt;
          last_acceleration[i] = a[i];
        }
        q += n, v += n, a += n, j += n;
      }
    }
  }
  py::dict out;
  out["position"] = position;
  out["velocity"] = velocity;
  out["acceleration"] = acceleration;
  out["jerk"] = jerk;
  out["limited"] = limited;
  return out;
}

py::dict ticks_limited(const ConstraintEnforcer& enforcer) {
  py::dict counts;
  for (const Cause cause : kCauses) {
    Array<std::int64_t> ticks(enforcer.num_joints());
    for (int i = 0; i < enforcer.num_joints(); ++i) ticks.mutable_at(i) = enforcer.ticks_limited(i, cause);
    counts[to_string(cause)] = ticks;
  }
  return counts;
}

ConstraintEnforcer make_enforcer(const JointLimits& limits, double period_s, const Kinematics* kinematics,
                                 const py::object& workspace, const CollisionModel* collision,
                                 bool path_preserving, double smoothing_s, const py::object& chain_joints) {
  const EnforcerOptions options{.path_preserving = path_preserving, .smoothing_s = smoothing_s};
  const Surroundings surroundings = surroundings_from(workspace, collision, chain_joints);
  if (kinematics == nullptr && collision != nullptr) kinematics = &collision->kinematics();
  if (kinematics == nullptr) {
    if (!surroundings.workspaces.empty())
      throw ConfigError("kinematics", "None", "a workspace needs it, to know where its point is");
    if (!surroundings.chain_joints.empty())
      throw ConfigError("kinematics", "None", "chain_joints are the joints of its chain");
    return ConstraintEnforcer(limits, period_s, options);
  }
  return ConstraintEnforcer(limits, period_s, options, *kinematics, surroundings);
}

void bind_enforcer(py::module_& m) {
  py::class_<ConstraintEnforcer>(
      m, "ConstraintEnforcer",
      "Turns any stream of targets into commands within position, velocity, acceleration and jerk limits at "
      "once.\n\n"
      "After every tick a certified stop exists that respects all limits, so no input can break one. Time is "
      "nominal:\n"
      "every call advances the command by exactly period_s. Proof and limits of the claim: "
      "docs/safety.md.\n\n"
      "Args:\n"
      "    limits: JointLimits of N joints.\n"
      "    period_s: control period in [1e-6, 1] s.\n"
      "    kinematics: Kinematics of the same joints; needed for a workspace, else taken from collision.\n"
      "    workspace: Workspace or a list of them: points of the robot that must stay inside walls.\n"
      "    collision: CollisionModel: links that must not touch each other or the world.\n"
      "        Workspace and collision hold at and between ticks and over the whole stop in hand; 0.1 mm is\n"
      "        kept from everything at rest, 0.01 mm in motion. Near a wall the robot slides along it.\n"
      "    path_preserving: slow all joints by one common time scale while any is saturated, so that a move "
      "from rest\n"
      "        is a straight line in joint space; clipping joint by joint is the last resort.\n"
      "    smoothing_s: time constant of target smoothing for noisy targets, 0 (off) to 0.05 s. Costs lag on "
      "steps.\n"
      "    chain_joints: which of the N joints those of the kinematics are, in its order; None: all of them. "
      "The\n"
      "        others, such as a gripper's, are filtered alone.\n\n"
      "Raises:\n"
      "    ConfigError: a bad limit, period or option; kinematics missing or of another number of joints.\n")
      .def(py::init(&make_enforcer), py::arg("limits"), py::arg("period_s"),
           py::arg("kinematics") = py::none(), py::arg("workspace") = py::none(),
           py::arg("collision") = py::none(), py::arg("path_preserving") = false, py::kw_only(),
           py::arg("smoothing_s") = 0.0, py::arg("chain_joints") = py::none())
      .def_property_readonly("num_joints", &ConstraintEnforcer::num_joints, "N.")
      .def_property_readonly("period_s", &ConstraintEnforcer::period_s, "Control period [s].")
      .def_property_readonly(
          "limits", [](const ConstraintEnforcer& e) { return e.limits(); },
          "JointLimits asked for last, a copy.")
      .def(
          "reset",
          [](ConstraintEnforcer& e, const ArrayLike& position, const OptionalArray& velocity,
             const OptionalArray& acceleration) {
            const Numbers q(e, position, "position"), v(e, velocity, "velocity"),
                a(e, acceleration, "acceleration");
            e.reset(q, v, a);
          },
          py::arg("position"), py::arg("velocity") = py::none(), py::arg("acceleration") = py::none(),
          "Starts from a commanded state; clears a fault and the log.\n\n"
          "Args:\n"
          "    position: (N,) [rad].\n"
          "    velocity: (N,) [rad/s], zero if None.\n"
          "    acceleration: (N,) [rad/s^2], zero if None.\n\n"
          "Raises:\n"
          "    ConfigError: not finite, outside the limits, the workspace or free space, or the stop from "
          "there "
          "leaves\n"
          "        them; says what and by how much; nothing changes.\n")
      .def("set_limits", &ConstraintEnforcer::set_limits, py::arg("limits"),
           "Changes the limits between two ticks, N unchanged. A joint whose state allows it has the new "
           "ones at once;\n"
           "others follow their certified stop until it does. If that stop leaves the new range, `apply` "
           "reports\n"
           "Status.Fault and everything stops until `reset`.\n\n"
           "Raises:\n"
           "    ConfigError: bad limits; nothing changes.\n")
      .def("apply", &apply, py::arg("target"), py::arg("feedforward_velocity") = py::none(),
           "One tick.\n\n"
           "Args:\n"
           "    target: (N,) [rad]. A non-finite entry holds that joint's last good target.\n"
           "    feedforward_velocity: (N,) [rad/s], the target's own velocity; non-finite entries count as "
           "absent.\n\n"
           "Returns:\n"
           "    (command (N,) float64 [rad], EnforcerReport).\n\n"
           "Raises:\n"
           "    ConfigError: a wrong shape, or no reset before the first call.\n")
      .def("run", &run, py::arg("targets"), py::arg("feedforward") = py::none(), py::arg("substeps") = 1,
           "n ticks in C++ without the GIL, equal to repeated `apply` bit for bit.\n\n"
           "Args:\n"
           "    targets: (n, N) [rad].\n"
           "    feedforward: (n, N) [rad/s] or None.\n"
           "    substeps: look at the commanded motion at so many instants per tick.\n\n"
           "Returns:\n"
           "    dict of position [rad], velocity [rad/s], acceleration [rad/s^2], jerk [rad/s^3], each\n"
           "    (n * substeps, N) float64, and limited (n,) bool: some wish of that tick was changed. Row r "
           "is the state\n"
           "    at time (r + 1) * period_s / substeps; every substeps-th row is a command. jerk is the mean "
           "since the\n"
           "    row before.\n\n"
           "Raises:\n"
           "    ConfigError: a wrong shape, substeps not in 1..1000, or no reset before.\n")
      .def(
          "stop", [](ConstraintEnforcer& e) { e.stop(); }, "One tick along the certified stop.")
      .def_property_readonly("ticks_limited", &ticks_limited,
                             "dict cause -> (N,) int64: ticks since reset in which it changed the wish of "
                             "each joint.")
      .def_property_readonly(
          "at_rest", [](const ConstraintEnforcer& e) { return e.at_rest(); },
          "True when velocity and acceleration are exactly zero.")
      .def_property_readonly(
          "position", [](const ConstraintEnforcer& e) { return array_of<double>(e.position()); },
          "(N,) float64 [rad]: the last command, a copy.")
      .def_property_readonly(
          "velocity", [](const ConstraintEnforcer& e) { return array_of<double>(e.velocity()); },
          "(N,) float64 [rad/s] of the last command, a copy.")
      .def_property_readonly(
          "acceleration", [](const ConstraintEnforcer& e) { return array_of<double>(e.acceleration()); },
          "(N,) float64 [rad/s^2] of the last command, a copy.");
}

}  // namespace

void bind_constraints(py::module_& m) {
  bind_surroundings(m);
  bind_collision_model(m);
  bind_joint_limits(m);
  bind_enforcer_report(m);
  bind_enforcer(m);
}

}  // namespace vla_rt::bindings
