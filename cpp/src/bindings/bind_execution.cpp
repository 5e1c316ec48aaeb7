#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/execution_dicts.hpp"
#include "bindings/executor_config.hpp"
#include "bindings/python_threads.hpp"
#include "bindings/surroundings.hpp"
#include "bindings/times.hpp"
#include "vla_rt/execution/control_loop.hpp"
#include "vla_rt/execution/controller.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

RealtimeMode realtime_from(const std::string& text) {
  if (text == "best_effort") return RealtimeMode::BestEffort;
  if (text == "enforce") return RealtimeMode::Enforce;
  throw ConfigError("realtime", "\"" + text + "\"", "must be best_effort | enforce");
}

ControlConfig make_config(double period_s, const ChunkExecutorConfig& executor,
                          const std::optional<CartesianConfig>& cartesian,
                          const std::optional<JointLimits>& limits, bool path_preserving, double smoothing_s,
                          double state_timeout_s, double plan_timeout_s, double max_following_error,
                          double watchdog_s, double inference_rate_hz, double inference_stop_timeout_s,
                          const std::string& realtime, int priority, std::optional<int> cpu, bool lock_memory,
                          double spin_s, double first_state_timeout_s, double trace_s,
                          double inline_budget_s) {
  ControlConfig config;
  if (limits) config.limits = *limits;
  config.controller.period_s = period_s;
  config.controller.executor = executor;
  config.controller.cartesian = cartesian;
  config.controller.enforcer.path_preserving = path_preserving;
  config.controller.enforcer.smoothing_s = smoothing_s;
  config.controller.state_timeout_s = state_timeout_s;
  config.controller.plan_timeout_s = plan_timeout_s;
  config.controller.max_following_error = max_following_error;
  config.controller.watchdog_s = watchdog_s;
  config.inference.rate_hz = inference_rate_hz;
  config.inference.stop_timeout_s = inference_stop_timeout_s;
  config.realtime.mode = realtime_from(realtime);
  config.realtime.priority = priority;
  config.realtime.cpu = cpu;
  config.realtime.lock_memory = lock_memory;
  if (!(spin_s >= 0 && spin_s <= 1)) throw ConfigError("spin_s", number(spin_s), "must be in [0, 1] s");
  // At most half a period is spent anyway: a short period needs no shorter spin to go with it.
  if (period_s > 0 && period_s <= 1)
    config.realtime.spin_ns = std::min(from_seconds(spin_s), from_seconds(period_s) / 2);
  config.first_state_timeout_s = first_state_timeout_s;
  config.trace_s = trace_s;
  config.inference.inline_budget_s = inline_budget_s;
  config.validate();
  return config;
}

RobotCommand tick(Controller& controller, double time_s, const ArrayLike& position, const ArrayLike& velocity,
                  std::optional<double> state_time_s) {
  RobotState state;
  state.num_joints = controller.num_joints();
  const Array<double> q = row_major<double>(position, "position");
  require_shape(q, "position", {state.num_joints});
  std::ranges::copy(elements(q), state.position.begin());
  if (!velocity.is_none()) {
    const Array<double> v = row_major<double>(velocity, "velocity");
    require_shape(v, "velocity", {state.num_joints});
    std::ranges::copy(elements(v), state.velocity.begin());
  }
  const TimeNs now = time_from(time_s, "time_s");
  state.time_ns = state_time_s ? time_from(*state_time_s, "state_time_s") : now;
  RobotCommand command;
  controller.tick(now, state, command);
  return command;
}

const char* push(Controller& controller, const ArrayLike& chunk, double start_time_s) {
  const Array<double> rows = row_major<double>(chunk, "chunk");
  require_shape(rows, "chunk", {-1, controller.action_dim()});
  auto filled = std::make_unique<ActionChunk>();
  if (rows.shape(0) > kMaxHorizon)
    throw ConfigError("chunk", "shape " + shape_text(rows),
                      "must have at most " + std::to_string(kMaxHorizon) + " rows");
  filled->resize(static_cast<int>(rows.shape(0)), static_cast<int>(rows.shape(1)));
  std::ranges::copy(elements(rows), filled->values.begin());
  filled->sequence = controller.chunk_sequence() + 1;
  filled->start_time_ns = time_from(start_time_s, "start_time_s");
  filled->period_ns = from_seconds(controller.config().executor.period_s);
  return to_string(controller.push(*filled));
}

// Whether a signal handler raised: a Ctrl-C is the report's to tell, anything else is kept for later.
bool interrupted(std::optional<py::error_already_set>& raised) {
  if (PyErr_CheckSignals() == 0) return false;
  py::error_already_set error;
  if (!error.matches(PyExc_KeyboardInterrupt)) raised.emplace(error);
  return true;
}

// A Ctrl-C ends the run, however often it comes; what any other signal handler raises goes on after the stop.
std::unique_ptr<RunReport> run(ControlLoop& loop, double duration_s) {
  std::optional<py::error_already_set> raised;
  auto report = std::make_unique<RunReport>();
  {
    const RunUntilExit until_exit([&loop] { loop.request_stop(); });
    const WithoutGil without_gil;
    *report = loop.run(duration_s, [&raised] {
      if (python_is_ending.load()) return true;
      const WorkerGil gil;
      return interrupted(raised);
    });
  }
  while (interrupted(raised)) report->interrupted = true;
  if (raised) throw py::error_already_set(*raised);
  return report;
}

void bind_config(py::module_& m) {
  py::class_<ControlConfig>(m, "ControlConfig",
                            "Set-up of a ControlLoop, checked; made by `vla_rt.ControlConfig`.")
      .def(py::init([](double period_s, double chunk_period_s, const std::string& mode,
                       std::optional<int> execution_horizon, double blend_s, const std::string& interpolation,
                       const std::string& merge, const ArrayLike& merge_weights,
                       const ArrayLike& discrete_dims, const std::string& on_starvation,
                       double temporal_ensemble_coeff, const std::optional<CartesianConfig>& cartesian,
                       std::optional<JointLimits> limits, bool path_preserving, double smoothing_s,
                       double state_timeout_s, double plan_timeout_s, double max_following_error,
                       double watchdog_s, double inference_rate_hz, double inference_stop_timeout_s,
                       const std::string& realtime, int priority, std::optional<int> cpu, bool lock_memory,
                       double spin_s, double first_state_timeout_s, double trace_s, double inline_budget_s,
                       const py::object& rotation_dims) {
             const ChunkExecutorConfig executor = chunk_executor_config(
                 0, chunk_period_s, mode, execution_horizon, blend_s, interpolation, merge, merge_weights,
                 discrete_dims, on_starvation, std::nullopt, temporal_ensemble_coeff, rotation_dims);
             return make_config(period_s, executor, cartesian, limits, path_preserving, smoothing_s,
                                state_timeout_s, plan_timeout_s, max_following_error, watchdog_s,
                                inference_rate_hz, inference_stop_timeout_s, realtime, priority, cpu,
                                lock_memory, spin_s, first_state_timeout_s, trace_s, inline_budget_s);
           }),
           py::kw_only(), py::arg("period_s"), py::arg("chunk_period_s"), py::arg("mode"),
           py::arg("execution_horizon"), py::arg("blend_s"), py::arg("interpolation"), py::arg("merge"),
           py::arg("merge_weights"), py::arg("discrete_dims"), py::arg("on_starvation"),
           py::arg("temporal_ensemble_coeff"), py::arg("cartesian"), py::arg("limits"),
           py::arg("path_preserving"), py::arg("smoothing_s"), py::arg("state_timeout_s"),
           py::arg("plan_timeout_s"), py::arg("max_following_error"), py::arg("watchdog_s"),
           py::arg("inference_rate_hz"), py::arg("inference_stop_timeout_s"), py::arg("realtime"),
           py::arg("priority"), py::arg("cpu"), py::arg("lock_memory"), py::arg("spin_s"),
           py::arg("first_state_timeout_s"), py::arg("trace_s"), py::arg("inline_budget_s") = 0.0,
           py::arg("rotation_dims") = py::tuple())
      .def(
          "surround",
          [](ControlConfig& c, const std::optional<Kinematics>& kinematics, const py::object& workspace,
             const std::optional<CollisionModel>& collision, const py::object& chain_joints) {
            c.controller.surroundings =
                surroundings_from(workspace, collision ? &*collision : nullptr, chain_joints);
            c.controller.kinematics = kinematics;
            if (!kinematics && collision) c.controller.kinematics = collision->kinematics();
          },
          py::arg("kinematics"), py::arg("workspace"), py::arg("collision"), py::arg("chain_joints"),
          "What the commands keep clear of, as `ConstraintEnforcer`.")
      .def_readwrite("record", &ControlConfig::record, "File, empty: none; see `FlightRecording`.")
      .def_readwrite("record_pictures", &ControlConfig::record_pictures, "Pictures the policy sees, too.")
      .def_readwrite("record_max_mb", &ControlConfig::record_max_mb, "[MiB] of it and the part before it.")
      .def_readwrite("violation_log", &ControlConfig::violation_log, "File, empty: none; see `ViolationLog`.")
      .def_property_readonly(
          "chunk_period_s", [](const ControlConfig& c) { return c.controller.executor.period_s; },
          "Time between the rows of a chunk [s].");
}

void bind_controller(py::module_& m) {
  py::class_<Controller>(
      m, "Controller", R"(The control tick without threads: chunks and measurements in, one safe command out.

What a ControlLoop runs every period, for tests, replays and callbacks of one's own. Times are seconds of one clock of
the caller's choice.

Args:
    config: A `_core.ControlConfig` with limits and chunk period, as `vla_rt.ControlConfig.to_core()` makes it.

Raises:
    ConfigError: Limits or chunk period are missing.)")
      .def(py::init([](const ControlConfig& config) {
             return std::make_unique<Controller>(config.controller, config.limits);
           }),
           py::arg("config"))
      .def_property_readonly("num_joints", &Controller::num_joints, "N.")
      .def_property_readonly("action_dim", &Controller::action_dim, "D of the chunks it takes.")
      .def(
          "reset",
          [](Controller& controller, const ArrayLike& position) {
            controller.reset(vector_of<double>(position, "position"));
          },
          py::arg("position"), R"(Start anew at rest at the measured position (N,): no plan, no fault.

Raises:
    ConfigError: It is not finite, has another size or lies outside the limits; nothing changes.)")
      .def("push", &push, py::arg("chunk"), py::arg("start_time_s"),
           R"(Hand over a chunk (T, D) of actions, row 0 at `start_time_s`.

Returns:
    str: "accepted", or why it was dropped: "past", "far_future", "queue_full".

Raises:
    ConfigError: A wrong shape, or a number that is not finite; the plan stays.)")
      .def("tick", &tick, py::arg("time_s"), py::arg("position"), py::arg("velocity") = py::none(),
           py::arg("state_time_s") = py::none(), R"(One tick at `time_s`.

Args:
    time_s: Now [s].
    position: Measured (N,) [rad] or [m]; NaN is an answerable input, not an error.
    velocity: Measured (N,) [rad/s]; None is zero.
    state_time_s: When that was measured; None is now.

Returns:
    RobotCommand: Always finite and within the limits; its `status` says what the tick had to say.

Raises:
    ConfigError: A wrong shape.)")
      .def(
          "request_stop", [](Controller& c) { c.request_stop(); },
          "From the next tick on: the certified stop, until `reset()`.")
      .def(
          "report_driver_error", [](Controller& c) { c.report_driver_error(); }, "Fault at the next tick.")
      .def_property_readonly(
          "at_rest", [](const Controller& c) { return c.at_rest(); },
          "True when the last command was at rest.")
      .def_property_readonly(
          "fault", [](const Controller& c) { return fault_or_none(c.fault(), c.fault().text()); },
          "None, or {reason, text, time_s, joint, value, bound} of the first fault since the last reset.");
}

void bind_loop(py::module_& m) {
  py::class_<RunReport>(m, "RunReport", "What one run came to, measured on the emitted commands.")
      .def("to_dict", [](const RunReport& report) { return to_dict(report); })
      .def("trace", [](const RunReport& report) { return to_dict(report.trace); })
      .def("handovers", [](const RunReport& report) { return handovers_dict(report); })
      .def("seams", [](const RunReport& report) { return seams_dict(report); });

  py::class_<ControlLoop>(m, "ControlLoop", "Threads around a Controller; use `vla_rt.ControlLoop`.")
      .def(py::init([](const py::object& robot, const py::object& policy, const ControlConfig& config) {
             return std::make_unique<ControlLoop>(share<Robot>(robot), share<ChunkSource>(policy), config);
           }),
           py::arg("robot"), py::arg("policy"), py::arg("config"))
      .def("run", &run, py::arg("duration_s"), "Run for `duration_s` [s] and the certified stop.")
      .def("request_stop", &ControlLoop::request_stop,
           "End the run in progress early, with the certified stop.")
      .def("stop_inference", &ControlLoop::stop_inference, "End the inference of the run in progress.");
}

}  // namespace

void bind_execution(py::module_& m) {
  bind_config(m);
  bind_controller(m);
  bind_loop(m);
}

}  // namespace vla_rt::bindings
