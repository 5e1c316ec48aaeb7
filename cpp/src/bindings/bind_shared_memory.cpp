#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/post_feature.hpp"
#include "vla_rt/execution/shared_memory_driver.hpp"
#include "vla_rt/execution/shared_memory_robot.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

// A driver that Python can close before the interpreter does.
class Driver {
 public:
  Driver(const std::string& name, const JointLimits& limits, double late_s, double timeout_s)
      : driver_(std::make_unique<SharedMemoryDriver>(name, limits, late_s, timeout_s)),
        n_(static_cast<std::size_t>(driver_->num_joints())) {}

  [[nodiscard]] int num_joints() const { return static_cast<int>(n_); }

  void post_state(const ArrayLike& position, const ArrayLike& velocity, std::optional<TimeNs> time_ns) {
    RobotState state;
    state.num_joints = num_joints();
    fill(state.position, position, "position");
    if (!velocity.is_none()) fill(state.velocity, velocity, "velocity");
    state.time_ns = time_ns ? *time_ns : steady_now();
    open().post_state(state);
  }

  py::tuple follow(std::optional<TimeNs> now_ns) {
    std::array<double, kMaxActionDim> q{}, dq{};
    const DriverAdvice advice = open().follow(now_ns ? *now_ns : steady_now(), q, dq);
    if (advice == DriverAdvice::Hold) return py::make_tuple(to_string(advice), py::none(), py::none());
    return py::make_tuple(to_string(advice), array_of<double>(std::span<const double>(q.data(), n_)),
                          array_of<double>(std::span<const double>(dq.data(), n_)));
  }

  void fail(std::uint64_t code) { open().fail(code); }
  void close() { driver_.reset(); }

 private:
  SharedMemoryDriver& open() {
    if (!driver_) throw VlaRtError("the driver was closed");
    return *driver_;
  }
  void fill(JointArray& joints, const ArrayLike& values, const char* name) const {
    const Array<double> a = row_major<double>(values, name);
    require_shape(a, name, {num_joints()});
    std::ranges::copy(elements(a), joints.begin());
  }

  std::unique_ptr<SharedMemoryDriver> driver_;
  std::size_t n_;
};

}  // namespace

void bind_shared_memory(py::module_& m) {
  py::class_<SharedMemoryRobot, Robot>(
      m, "SharedMemoryRobot",
      R"(A robot whose driver is another process, in any language, behind POSIX shared memory.

The layout is `vla_rt/execution/shared_memory.h`; `examples/shared_memory_driver` is a driver in C, `SharedMemoryDriver` one
for Python. What the driver says is taken as hostile: torn or backward states are refused and counted. A heartbeat that
stands still, or nothing usable, for `timeout_s` is a driver error, which ends a run in the certified stop. Should this
process die instead, the driver brings the robot to rest by the stop that every command carries.

Args:
    name: Of the segment, as its driver made it.
    timeout_s: (0, 60] s.

Raises:
    ConfigError: The name is none of a segment, or the timeout is outside its bounds.
    VlaRtError: There is no such segment.
    FormatError: It is not of this layout, or its limits are none.)")
      .def(py::init<const std::string&, double>(), py::arg("name"), py::arg("timeout_s") = 0.1)
      .def_property_readonly("limits", &SharedMemoryRobot::limits, "As the driver stated them.")
      .def_property_readonly("refused", &SharedMemoryRobot::refused, "States refused since the run began.")
      .def(
          "post_feature",
          [](SharedMemoryRobot& robot, const std::string& name, const ArrayLike& value) {
            post_feature(robot.features(), name, value);
          },
          py::arg("name"), py::arg("value"), kPostFeature);

  py::class_<Driver>(
      m, "SharedMemoryDriver",
      R"(The driver's end of a SharedMemoryRobot: makes the segment, posts states, follows commands.

Every command carries the way to rest from it, so that the robot ends within its limits when the controller dies or babbles.
One thread. A context manager; closing removes the segment.

Args:
    name: Of the segment.
    limits: JointLimits of the N joints.
    late_s: A command older than this is followed on its way to rest: one and a half periods of the controller.
    timeout_s: The controller is given up after this, at most 60 s.

Raises:
    ConfigError: A bad name or limits, or not 0 < late_s <= timeout_s <= 60.
    VlaRtError: A living driver has that segment, or it cannot be made.)")
      .def(py::init<const std::string&, const JointLimits&, double, double>(), py::arg("name"),
           py::arg("limits"), py::arg("late_s") = 0.0015, py::arg("timeout_s") = 0.05)
      .def_property_readonly("num_joints", &Driver::num_joints, "N.")
      .def("post_state", &Driver::post_state, py::arg("position"), py::arg("velocity") = py::none(),
           py::arg("time_ns") = py::none(), R"(Hand over a measurement.

Args:
    position: (N,) [rad] or [m].
    velocity: (N,) [rad/s] or [m/s]; None is zero.
    time_ns: When it was measured [ns, as `vla_rt.steady_now_ns()`]; None is now.

Raises:
    ConfigError: A wrong shape or dtype.)")
      .def("follow", &Driver::follow, py::arg("now_ns") = py::none(), R"(Where to be now; once per cycle.

Returns:
    (advice, position (N,), velocity (N,)). Advice is "hold" (no run: stay; the other two are None), "follow" (the newest
    command), "late" (on the way to rest until the next one comes) or "stop" (to rest for good: the controller is dead or
    babbling).)")
      .def("fail", &Driver::fail, py::arg("code"),
           "Report that the driver can go on no longer: the controller faults.")
      .def("close", &Driver::close, "Say that the driver has gone, and remove the segment.")
      .def(
          "__enter__", [](Driver& driver) -> Driver& { return driver; }, py::return_value_policy::reference)
      .def("__exit__", [](Driver& driver, const py::args&) { driver.close(); });
}

}  // namespace vla_rt::bindings
