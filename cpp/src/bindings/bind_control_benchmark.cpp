#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/execution/control_config.hpp"
#include "vla_rt/execution/controller.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

using Counter = long (*)();

struct Samples {
  std::vector<std::int64_t> duration_ns;
  std::vector<double> position;  // (ticks, N)
  long allocations = 0;
};

// Every `every` rows a chunk of `horizon` rows is pushed, between two ticks; the robot follows its commands.
Samples measure(const ControlConfig& config, const Array<double>& rows, int horizon, int every,
                Counter count) {
  Controller controller(config.controller, config.limits);
  const auto n = static_cast<std::size_t>(controller.num_joints());
  const TimeNs period = from_seconds(config.controller.period_s),
               row_period = from_seconds(config.controller.executor.period_s);
  const auto total = static_cast<int>(rows.shape(0));
  const auto ticks = static_cast<std::size_t>((total - horizon) * row_period / period);
  Samples samples{std::vector<std::int64_t>(ticks), std::vector<double>(ticks * n), 0};
  auto chunk = std::make_unique<ActionChunk>();
  RobotState state;
  RobotCommand command;
  state.num_joints = controller.num_joints();
  std::copy_n(rows.data(), n, state.position.begin());
  controller.reset({state.position.data(), n});
  int next = 0;
  for (std::size_t k = 0; k < ticks; ++k) {
    const TimeNs now = static_cast<TimeNs>(k) * period;
    if (now >= next * row_period && next + horizon <= total) {
      chunk->resize(horizon, controller.num_joints());
      chunk->start_time_ns = next * row_period;
      chunk->period_ns = row_period;
      std::copy_n(rows.data(next), static_cast<std::size_t>(horizon) * n, chunk->values.begin());
      controller.push(*chunk);
      next += every;
    }
    state.time_ns = now;
    const long before = count ? count() : 0;
    const TimeNs begin = steady_now();
    controller.tick(now, state, command);
    samples.duration_ns[k] = steady_now() - begin;
    samples.allocations += count ? count() - before : 0;
    std::copy_n(command.position.begin(), n, state.position.begin());
    std::copy_n(command.position.begin(), n, samples.position.begin() + static_cast<std::ptrdiff_t>(k * n));
  }
  return samples;
}

py::dict benchmark_control(const ControlConfig& config, const ArrayLike& rows, int horizon, int every,
                           std::uintptr_t allocation_counter) {
  const Array<double> motion = row_major<double>(rows, "rows");
  require_shape(motion, "rows", {-1, config.limits.num_joints});
  require_finite(motion, "rows");
  if (horizon < 1 || horizon > kMaxHorizon || horizon >= motion.shape(0))
    throw ConfigError("horizon", std::to_string(horizon), "must be in 1..256 and below the number of rows");
  if (every < 1 || every > horizon)
    throw ConfigError("every", std::to_string(every), "must be in 1..horizon");
  Samples samples;
  {
    const py::gil_scoped_release release;
    samples = measure(config, motion, horizon, every, std::bit_cast<Counter>(allocation_counter));
  }
  Array<double> position({static_cast<py::ssize_t>(samples.duration_ns.size()),
                          static_cast<py::ssize_t>(config.limits.num_joints)});
  std::ranges::copy(samples.position, position.mutable_data());
  py::dict d;
  d["duration_ns"] = array_of<std::int64_t>(samples.duration_ns);
  d["position"] = position;
  d["allocations"] = allocation_counter ? py::object(py::int_(samples.allocations)) : py::object(py::none());
  return d;
}

}  // namespace

void bind_control_benchmark(py::module_& m) {
  m.def("benchmark_control_tick", &benchmark_control, py::arg("config"), py::arg("rows"),
        py::arg("horizon") = 16, py::arg("every") = 8, py::arg("allocation_counter") = 0,
        R"(Measure Controller.tick in C++ along a given motion.

Args:
    config: `ControlConfig.to_core()` with limits and chunk period.
    rows: (R, N) the motion at the chunk period [rad]; the first row is the start.
    horizon: T, rows of a chunk.
    every: Rows between two chunks.
    allocation_counter: Address of a C function `long f()` that counts this thread's allocations; 0: not counted.

Returns:
    dict: duration_ns (ticks,), position (ticks, N) as commanded, allocations (int or None) inside the ticks.

Raises:
    ConfigError: A wrong shape or number.)");
}

}  // namespace vla_rt::bindings
