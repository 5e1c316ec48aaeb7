#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.hpp"
#include "vla_rt/constraints/collision_model.hpp"
#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/constraints/violation_counter.hpp"
#include "vla_rt/constraints/workspace.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

constexpr std::pair<Cause, const char*> kCauses[] = {
    {Cause::Position, "position"},         {Cause::Velocity, "velocity"},
    {Cause::Acceleration, "acceleration"}, {Cause::Jerk, "jerk"},
    {Cause::Workspace, "workspace"},       {Cause::Collision, "collision"},
    {Cause::NonFinite, "non_finite"},
};

const char* cause_name(Cause cause) {
  for (const auto& [bit, name] : kCauses)
    if (bit == cause) return name;
  return "unknown";
}

std::string shape_of(const py::array& array) {
  std::string text = "shape (";
  for (py::ssize_t k = 0; k < array.ndim(); ++k)
    text += std::to_string(array.shape(k)) + (array.ndim() == 1 || k + 1 < array.ndim() ? "," : "");
  return text + ")";
}

// Any number array, float32 and non-contiguous included, as row-major float64; never a scalar, bool or
// complex.
Array as_array(const char* name, const py::object& object) {
  const py::array any = py::array::ensure(object);
  if (!any) {
    PyErr_Clear();
    throw ConfigError(name, py::str(py::type::of(object).attr("__name__")), "must be an array of numbers");
  }
  const char kind = any.dtype().kind();
  if (kind != 'f' && kind != 'i' && kind != 'u')
    throw ConfigError(name, "dtype " + std::string(py::str(any.dtype())), "must be real numbers");
  return Array::ensure(any);
}

Array as_vector(const char* name, const py::object& object, py::ssize_t n = -1) {
  Array array = as_array(name, object);
  if (array.ndim() != 1 || (n >= 0 && array.shape(0) != n))
    throw ConfigError(name, shape_of(array), "must have shape (" + (n >= 0 ? std::to_string(n) : "N") + ",)");
  return array;
}

Array as_rows(const char* name, const py::object& object, py::ssize_t n, py::ssize_t rows = -1) {
  Array array = as_array(name, object);
  if (array.ndim() != 2 || array.shape(1) != n || (rows >= 0 && array.shape(0) != rows))
    throw ConfigError(
        name, shape_of(array),
        "must have shape (" + (rows >= 0 ? std::to_string(rows) : "n") + ", " + std::to_string(n) + ")");
  return array;
}

std::span<const double> span_of(const Array& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

Array from_span(std::span<const double> values) {
  Array array(static_cast<py::ssize_t>(values.size()));
  std::copy(values.begin(), values.end(), array.mutable_data());
  return array;
}

Array from_joints(const JointArray& values, int num_joints) {
  return from_span({values.data(), static_cast<std::size_t>(num_joints)});
}

// What one apply did, with the log as it was then.
struct PythonReport {
  EnforcerReport report;
  int num_joints = 0;
  std::vector<WishLogEntry> log;

  [[nodiscard]] py::frozenset limited() const {
    unsigned all = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(num_joints); ++i) all |= report.causes[i];
    py::set names;
    for (const auto& [bit, name] : kCauses)
      if ((all & static_cast<unsigned>(bit)) != 0) names.add(name);
    return py::frozenset(names);
  }

  [[nodiscard]] py::array_t<std::uint8_t> causes() const {
    py::array_t<std::uint8_t> array(num_joints);
    std::copy_n(report.causes.begin(), num_joints, array.mutable_data());
    return array;
  }

  [[nodiscard]] py::list log_dicts() const {
    py::list entries;
    for (const WishLogEntry& entry : log) {
      py::dict item;
      item["joint"] = entry.joint;
      item["cause"] = cause_name(entry.cause);
      item["wanted"] = entry.wanted;
      item["given"] = entry.given;
      item["time_s"] = entry.time_s;
      entries.append(item);
    }
    return entries;
  }
};

void require_start(const ConstraintEnforcer& enforcer) {
  if (!enforcer.has_start())
    throw ConfigError("position", "unknown", "call reset(position) before the first command");
}

py::tuple apply(ConstraintEnforcer& enforcer, const py::object& target, const py::object& feedforward) {
  require_start(enforcer);
  const int n = enforcer.num_joints();
  const Array wish = as_vector("target", target, n);
  const Array velocity = feedforward.is_none() ? Array() : as_vector("feedforward_velocity", feedforward, n);
  PythonReport report;
  report.num_joints = n;
  enforcer.apply(span_of(wish), feedforward.is_none() ? std::span<const double>{} : span_of(velocity),
                 report.report);
  report.log.resize(
      static_cast<std::size_t>(std::min<std::int64_t>(enforcer.log_count(), enforcer.kLogCapacity)));
  static_cast<void>(enforcer.copy_log(report.log));
  return py::make_tuple(from_span(enforcer.position()), std::move(report));
}

py::dict run(ConstraintEnforcer& enforcer, const py::object& targets, const py::object& feedforward,
             int substeps) {
  require_start(enforcer);
  if (substeps < 1 || substeps > 1000)
    throw ConfigError("substeps", std::to_string(substeps), "must be in 1..1000");
  const std::size_t n = static_cast<std::size_t>(enforcer.num_joints());
  const Array wishes = as_rows("targets", targets, enforcer.num_joints());
  const Array velocities = feedforward.is_none()
                               ? Array()
                               : as_rows("feedforward", feedforward, enforcer.num_joints(), wishes.shape(0));
  const py::ssize_t ticks = wishes.shape(0), rows = ticks * substeps;
  Array position({rows, wishes.shape(1)}), velocity({rows, wishes.shape(1)}),
      acceleration({rows, wishes.shape(1)}), jerk({rows, wishes.shape(1)});
  py::array_t<bool> limited(ticks);
  const double* wish = wishes.data();
  const double* wish_velocity = feedforward.is_none() ? nullptr : velocities.data();
  double *q = position.mutable_data(), *v = velocity.mutable_data(), *a = acceleration.mutable_data(),
         *j = jerk.mutable_data();
  bool* was_limited = limited.mutable_data();
  {
    const py::gil_scoped_release release;
    EnforcerReport report;
    JointArray last_acceleration{};
    const double dt = enforcer.period_s() / substeps;
    for (py::ssize_t k = 0; k < ticks; ++k) {
      std::copy_n(enforcer.acceleration().begin(), n, last_acceleration.begin());
      enforcer.apply(
          {wish, n},
          wish_velocity != nullptr ? std::span<const double>{wish_velocity, n} : std::span<const double>{},
          report);
      wish += n;
      if (wish_velocity != nullptr) wish_velocity += n;
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
      .def(py::init([](const py::object& min_position, const py::object& max_position,
                       const py::object& max_velocity, const py::object& max_acceleration,
                       const py::object& max_jerk) {
             return JointLimits::make(span_of(as_vector("min_position", min_position)),
                                      span_of(as_vector("max_position", max_position)),
                                      span_of(as_vector("max_velocity", max_velocity)),
                                      span_of(as_vector("max_acceleration", max_acceleration)),
                                      span_of(as_vector("max_jerk", max_jerk)));
           }),
           py::arg("min_position"), py::arg("max_position"), py::arg("max_velocity"),
           py::arg("max_acceleration"), py::arg("max_jerk"))
      .def_readonly("num_joints", &JointLimits::num_joints, "N.")
      .def_property_readonly(
          "min_position", [](const JointLimits& l) { return from_joints(l.min_position, l.num_joints); },
          "(N,) float64 [rad], a copy.")
      .def_property_readonly(
          "max_position", [](const JointLimits& l) { return from_joints(l.max_position, l.num_joints); },
          "(N,) float64 [rad], a copy.")
      .def_property_readonly(
          "max_velocity", [](const JointLimits& l) { return from_joints(l.max_velocity, l.num_joints); },
          "(N,) float64 [rad/s], a copy.")
      .def_property_readonly(
          "max_acceleration",
          [](const JointLimits& l) { return from_joints(l.max_acceleration, l.num_joints); },
          "(N,) float64 [rad/s^2], a copy.")
      .def_property_readonly(
          "max_jerk", [](const JointLimits& l) { return from_joints(l.max_jerk, l.num_joints); },
          "(N,) float64 [rad/s^3], a copy.")
      .def("__repr__", [](const JointLimits& l) {
        return "JointLimits(num_joints=" + std::to_string(l.num_joints) + ")";
      });
}

void bind_report(py::module_& m) {
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
          "deviation", [](const PythonReport& r) { return from_joints(r.report.deviation, r.num_joints); },
          "(N,) float64 [rad]: target (the held one if it was not finite) minus command.")
      .def_property_readonly(
          "distance_to_limit",
          [](const PythonReport& r) { return from_joints(r.report.distance_to_limit, r.num_joints); },
          "(N,) float64 [rad]: from the command to the nearer position limit.")
      .def_property_readonly(
          "workspace_distance", [](const PythonReport& r) { return r.report.workspace_distance; },
          "From the command's nearest point to the nearest wall of its workspace [m]; inf without one.")
      .def_property_readonly(
          "clearance", [](const PythonReport& r) { return r.report.clearance; },
          "Smallest distance between things that must not touch, at the command [m]; inf without any.")
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

ConstraintEnforcer make_enforcer(const JointLimits& limits, double period_s, const Kinematics* kinematics,
                                 const py::object& workspace, const CollisionModel* collision,
                                 bool path_preserving, double smoothing_s) {
  const EnforcerOptions options{.path_preserving = path_preserving, .smoothing_s = smoothing_s};
  Surroundings surroundings;
  if (py::isinstance<Workspace>(workspace)) {
    surroundings.workspaces.push_back(workspace.cast<Workspace>());
  } else if (!workspace.is_none()) {
    if (!py::isinstance<py::sequence>(workspace))
      throw ConfigError("workspace", py::str(py::type::of(workspace).attr("__name__")),
                        "must be a Workspace or a list of them");
    for (const py::handle item : workspace) {
      if (!py::isinstance<Workspace>(item))
        throw ConfigError("workspace", py::str(py::type::of(item).attr("__name__")),
                          "must be a Workspace or a list of them");
      surroundings.workspaces.push_back(item.cast<Workspace>());
    }
  }
  if (collision != nullptr) surroundings.collision = *collision;
  if (kinematics == nullptr && collision != nullptr) kinematics = &collision->kinematics();
  if (kinematics == nullptr) {
    if (!surroundings.workspaces.empty())
      throw ConfigError("kinematics", "None", "a workspace needs it, to know where its point is");
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
      "    period_s: control period in (0, 1] s.\n"
      "    kinematics: Kinematics of the same joints; needed for a workspace, else taken from collision.\n"
      "    workspace: Workspace or a list of them: points of the robot that must stay inside walls.\n"
      "    collision: CollisionModel: links that must not touch each other or the world.\n"
      "        Workspace and collision hold at and between ticks and over the whole stop in hand; 0.1 mm is\n"
      "        kept from everything at rest, 0.01 mm in motion. Near a wall the robot slides along it.\n"
      "    path_preserving: slow all joints by one common time scale while any is saturated, so that a move "
      "from rest\n"
      "        is a straight line in joint space; clipping joint by joint is the last resort.\n"
      "    smoothing_s: time constant of target smoothing for noisy targets, 0 (off) to 0.05 s. Costs lag on "
      "steps.\n\n"
      "Raises:\n"
      "    ConfigError: a bad limit, period or option; kinematics missing or of another number of joints.\n")
      .def(py::init(&make_enforcer), py::arg("limits"), py::arg("period_s"),
           py::arg("kinematics") = py::none(), py::arg("workspace") = py::none(),
           py::arg("collision") = py::none(), py::arg("path_preserving") = false, py::kw_only(),
           py::arg("smoothing_s") = 0.0)
      .def_property_readonly("num_joints", &ConstraintEnforcer::num_joints, "N.")
      .def_property_readonly("period_s", &ConstraintEnforcer::period_s, "Control period [s].")
      .def_property_readonly(
          "limits", [](const ConstraintEnforcer& e) { return e.limits(); },
          "JointLimits asked for last, a copy.")
      .def(
          "reset",
          [](ConstraintEnforcer& e, const py::object& position, const py::object& velocity,
             const py::object& acceleration) {
            const int n = e.num_joints();
            const Array q = as_vector("position", position, n);
            const Array v = velocity.is_none() ? Array() : as_vector("velocity", velocity, n);
            const Array a = acceleration.is_none() ? Array() : as_vector("acceleration", acceleration, n);
            e.reset(span_of(q), velocity.is_none() ? std::span<const double>{} : span_of(v),
                    acceleration.is_none() ? std::span<const double>{} : span_of(a));
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
      .def_property_readonly(
          "at_rest", [](const ConstraintEnforcer& e) { return e.at_rest(); },
          "True when velocity and acceleration are exactly zero.")
      .def_property_readonly(
          "position", [](const ConstraintEnforcer& e) { return from_span(e.position()); },
          "(N,) float64 [rad]: the last command, a copy.")
      .def_property_readonly(
          "velocity", [](const ConstraintEnforcer& e) { return from_span(e.velocity()); },
          "(N,) float64 [rad/s] of the last command, a copy.")
      .def_property_readonly(
          "acceleration", [](const ConstraintEnforcer& e) { return from_span(e.acceleration()); },
          "(N,) float64 [rad/s^2] of the last command, a copy.");
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
      "    period_s: time between positions in (0, 1] s.\n\n"
      "Raises:\n"
      "    ConfigError: bad limits or period.\n")
      .def(py::init<const JointLimits&, double>(), py::arg("limits"), py::arg("period_s"))
      .def(
          "reset",
          [](ViolationCounter& c, const py::object& position) {
            c.reset(span_of(as_vector("position", position, c.num_joints())));
          },
          py::arg("position"), "Starts anew with the robot at rest at position (N,) [rad].")
      .def(
          "add",
          [](ViolationCounter& c, const py::object& positions) {
            const Array rows = as_array("positions", positions);
            const Array checked = rows.ndim() == 1 ? as_vector("positions", rows, c.num_joints())
                                                   : as_rows("positions", rows, c.num_joints());
            const std::size_t n = static_cast<std::size_t>(c.num_joints());
            const std::span<const double> all = span_of(checked);
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

void bind_constraints(py::module_& m) {
  bind_surroundings(m);
  bind_limits(m);
  bind_report(m);
  bind_enforcer(m);
  bind_counter(m);
}

}  // namespace vla_rt::bindings
