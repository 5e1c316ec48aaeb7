#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/post_feature.hpp"
#include "vla_rt/execution/mailbox_robot.hpp"
#include "vla_rt/execution/simulated_robot.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

// `start` and `stop` may be overridden in Python: the thread that runs the loop calls them.
class PythonMailboxRobot : public MailboxRobot {
 public:
  using MailboxRobot::MailboxRobot;
  void start() override { PYBIND11_OVERRIDE(void, MailboxRobot, start, ); }
  void stop() noexcept override {
    const py::gil_scoped_acquire gil;
    try {
      if (const py::function override = py::get_override(static_cast<const MailboxRobot*>(this), "stop"))
        override();
    } catch (py::error_already_set& error) {
      error.discard_as_unraisable("vla_rt.robots.MailboxRobot.stop");
    }
  }
};

void fill(JointArray& joints, int num_joints, const ArrayLike& values, const char* name) {
  const Array<double> a = row_major<double>(values, name);
  require_shape(a, name, {num_joints});
  std::ranges::copy(elements(a), joints.begin());
}

void post_state(MailboxRobot& robot, const ArrayLike& position, const ArrayLike& velocity,
                std::optional<TimeNs> time_ns) {
  RobotState state;
  state.num_joints = robot.num_joints();
  fill(state.position, state.num_joints, position, "position");
  if (!velocity.is_none()) fill(state.velocity, state.num_joints, velocity, "velocity");
  state.time_ns = time_ns ? *time_ns : steady_now();
  robot.post_state(state);
}

py::object latest_command(MailboxRobot& robot) {
  RobotCommand command;
  return robot.latest_command(command) ? py::cast(command) : py::none();
}

Array<double> joints(const JointArray& values, int n) {
  return array_of<double>(std::span<const double>(values.data(), static_cast<std::size_t>(n)));
}

}  // namespace

void post_feature(FeatureBoard& board, const std::string& name, const ArrayLike& values) {
  const py::array value = py::array::ensure(values);
  if (!value) throw py::error_already_set();
  const auto post = [&](DType dtype, const py::array& dense) {
    const std::vector<std::int64_t> shape(dense.shape(), dense.shape() + dense.ndim());
    const py::gil_scoped_release
        release;  // the board's mutex may be held while the inference thread copies an image
    board.post(name, dtype, shape, dense.data());
  };
  const char kind = value.dtype().kind();
  if (kind == 'u' && value.itemsize() == 1) return post(DType::UInt8, Array<std::uint8_t>::ensure(value));
  if (kind == 'i' || kind == 'u') return post(DType::Int64, Array<std::int64_t>::ensure(value));
  if (kind == 'f') return post(DType::Float32, Array<float>::ensure(value));
  throw ConfigError(name, "dtype " + py::str(value.dtype()).cast<std::string>(),
                    "must hold real numbers, integers or bytes");
}

const char* const kPostFeature =
    R"(Give the policy something besides the joints: a goal, an image, token ids.

Floats of any width arrive as float32, integers as int64, uint8 as it is. Replaces the feature of that name. Any thread.

Args:
    name: Feature name, as the policy knows it.
    value: Array of any shape.

Raises:
    ConfigError: The dtype is neither real, integer nor uint8.)";

void bind_robots(py::module_& m) {
  py::class_<RobotCommand>(m, "RobotCommand", "One safe command: always finite, always within the limits.")
      .def_readonly("time_ns", &RobotCommand::time_ns, "The tick it was made for [ns, steady clock].")
      .def_readonly("sequence", &RobotCommand::sequence, "Counts ticks.")
      .def_readonly("status", &RobotCommand::status, "What the tick had to say.")
      .def_property_readonly(
          "position", [](const RobotCommand& c) { return joints(c.position, c.num_joints); },
          "(N,) [rad] or [m].")
      .def_property_readonly(
          "velocity", [](const RobotCommand& c) { return joints(c.velocity, c.num_joints); }, "(N,) [rad/s].")
      .def_property_readonly(
          "acceleration", [](const RobotCommand& c) { return joints(c.acceleration, c.num_joints); },
          "(N,) [rad/s^2].");

  py::class_<Robot>(m, "Robot", "The boundary to a robot driver.")
      .def_property_readonly("num_joints", &Robot::num_joints, "N.");

  py::class_<MailboxRobot, Robot, PythonMailboxRobot>(m, "MailboxRobot",
                                                      R"(A robot whose driver has a cycle of its own.

The driver posts what it measured and takes the newest command whenever its cycle wants one; neither side waits for the
other. A subclass may override `start()` and `stop()`, which a ControlLoop calls before the first and after the last tick,
from the thread that runs it.

Args:
    num_joints: N, 1..MAX_ACTION_DIM.

Raises:
    ConfigError: N is outside its bounds.)")
      .def(py::init<int>(), py::arg("num_joints"))
      .def("post_state", &post_state, py::arg("position"), py::arg("velocity") = py::none(),
           py::arg("time_ns") = py::none(), R"(Hand over a measurement. One driver thread.

Args:
    position: (N,) [rad] or [m]. A NaN is handed on: the controller refuses it.
    velocity: (N,) [rad/s] or [m/s]; None is zero.
    time_ns: When it was measured [ns, as `vla_rt.steady_now_ns()`]; None is now.

Raises:
    ConfigError: A wrong shape or dtype.)")
      .def("latest_command", &latest_command,
           "The newest RobotCommand, or None before the first. One driver thread.")
      .def(
          "post_feature",
          [](MailboxRobot& robot, const std::string& name, const ArrayLike& value) {
            post_feature(robot.features(), name, value);
          },
          py::arg("name"), py::arg("value"), kPostFeature)
      .def("fail", &MailboxRobot::fail, py::arg("reason"), py::call_guard<py::gil_scoped_release>(),
           "Report that the driver can go on no longer: the controller faults and stops. Any thread.")
      .def(
          "start", [](MailboxRobot&) {},
          "Called before the first state is read; override it to begin driving.")
      .def("stop", [](MailboxRobot&) {}, "Called after the last command; override it to end driving.");

  py::class_<SimulatedRobot, Robot>(
      m, "SimulatedRobot",
      R"(Joints that follow the commanded position as damped second-order servos.

Deterministic: every command moves time by exactly `period_s`, solved exactly.

Args:
    limits: JointLimits of the N joints.
    position: (N,) where it stands at rest [rad] or [m].
    natural_frequency_hz: Of the undamped servo, > 0.
    damping_ratio: 1 is critically damped, > 0.
    period_s: Motion per command [s]; the period of the loop.

Raises:
    ConfigError: A number is not finite or outside its bounds, or the position is outside the limits.)")
      .def(py::init([](const JointLimits& limits, const ArrayLike& position, double natural_frequency_hz,
                       double damping_ratio, double period_s) {
             const std::vector<double> q = vector_of<double>(position, "position");
             return std::make_unique<SimulatedRobot>(
                 limits, q, ServoModel{natural_frequency_hz, damping_ratio, period_s});
           }),
           py::arg("limits"), py::arg("position"), py::arg("natural_frequency_hz") = 20.0,
           py::arg("damping_ratio") = 1.0, py::arg("period_s") = 0.001)
      .def_property_readonly("limits", &SimulatedRobot::limits, "The limits it was made with.")
      .def_property_readonly(
          "period_s", [](const SimulatedRobot& robot) { return to_seconds(robot.period_ns()); },
          "Motion per command [s].")
      .def(
          "post_feature",
          [](SimulatedRobot& robot, const std::string& name, const ArrayLike& value) {
            post_feature(robot.features(), name, value);
          },
          py::arg("name"), py::arg("value"), kPostFeature);
}

}  // namespace vla_rt::bindings
