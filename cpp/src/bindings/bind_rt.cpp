#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "bindings/bindings.hpp"
#include "bindings/rt_dicts.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/rt/latency_histogram.hpp"
#include "vla_rt/rt/realtime_thread.hpp"
#include "vla_rt/rt/wakeup.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

// Seconds to nanoseconds; what does not fit is refused here, everything else by the room itself.
TimeNs nanoseconds(const char* field, double seconds) {
  if (!(std::abs(seconds) <= 1e9))
    throw ConfigError(field, number(seconds), "must be finite and within +-1e9 s");
  return from_seconds(seconds);
}

void bind_histogram(py::module_& m) {
  py::class_<LatencyHistogram>(
      m, "LatencyHistogram",
      "Histogram of latencies in fixed memory; every value is kept to better than 1 %.\n\n"
      "Log-linear buckets (HdrHistogram): percentiles are at most 0.79 % too high and never "
      "too low, from 1 ns to 137 s; count, mean and max are exact.")
      .def(py::init<>(), "An empty histogram.")
      .def(
          "record", [](LatencyHistogram& h, TimeNs latency_ns) { h.record(latency_ns); },
          py::arg("latency_ns"), "Count one latency [ns]; a negative one counts as 0.")
      .def_property_readonly("count", &LatencyHistogram::count, "Number of recorded values.")
      .def_property_readonly("max", &LatencyHistogram::max, "Largest value [ns]; 0 when empty.")
      .def_property_readonly("mean", &LatencyHistogram::mean, "Mean [ns]; 0 when empty.")
      .def("percentile", &LatencyHistogram::percentile, py::arg("percent"),
           "Smallest latency [ns] that at least `percent` % of the values do not exceed (nearest rank); 0 "
           "when empty.\n\n"
           "Raises:\n    ConfigError: `percent` is not in [0, 100].")
      .def(
          "summary", [](const LatencyHistogram& h) { return to_dict(h.summary()); },
          "{p50, p99, p999, max} in microseconds; zeros when empty.")
      .def("merge", &LatencyHistogram::merge, py::arg("other"), "Add all values of `other`.")
      .def("clear", &LatencyHistogram::clear, "Forget every value.")
      .def("__len__", &LatencyHistogram::count)
      .def("__repr__", [](const LatencyHistogram& h) {
        const LatencySummary s = h.summary();
        return "LatencyHistogram(count=" + std::to_string(h.count()) + ", p50=" + number(s.p50_us) +
               " us, p99=" + number(s.p99_us) + " us, max=" + number(s.max_us) + " us)";
      });
}

py::dict measure(double duration_s, double period_s, int priority, std::optional<int> cpu, double spin_s,
                 RealtimeMode mode, bool lock_memory) {
  RealtimeConfig config;
  config.mode = mode;
  config.priority = priority;
  config.cpu = cpu;
  config.lock_memory = lock_memory;
  config.period_ns = nanoseconds("period_s", period_s);
  config.spin_ns = nanoseconds("spin_s", spin_s);
  const TimeNs duration = nanoseconds("duration_s", duration_s);
  const WakeupReport report = [&] {
    py::gil_scoped_release release;
    return measure_wakeup(config, duration, [] {
      const py::gil_scoped_acquire acquire;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();  // Ctrl-C
      return true;
    });
  }();
  py::dict d = to_dict(report.latency.summary());
  d["mean"] = report.latency.mean() * 1e-3;
  d["count"] = report.latency.count();
  d["missed"] = report.missed;
  d["grant"] = to_dict(report.grant);
  return d;
}

}  // namespace

void bind_rt(py::module_& m) {
  bind_histogram(m);
  py::enum_<RealtimeMode>(m, "RealtimeMode", "What happens when the kernel refuses a real-time privilege.")
      .value("Enforce", RealtimeMode::Enforce, "RealtimeError, and nothing runs")
      .value("BestEffort", RealtimeMode::BestEffort, "it runs, and the report says what was refused");
  m.def("measure_wakeup", &measure, py::arg("duration_s"), py::arg("period_s") = 0.001,
        py::arg("priority") = 80, py::arg("cpu") = py::none(), py::arg("spin_s") = 0.0002,
        py::arg("mode") = RealtimeMode::BestEffort, py::arg("lock_memory") = true,
        R"(Measure how late the thread of the control loop wakes up here.

The thread does nothing but wake up once per period: an absolute sleep until `spin_s` before the deadline, then a
spin on the clock. The first 32 ticks (a tenth of all, if fewer) are not counted. The GIL is released meanwhile.

Args:
    duration_s: How long [s]: two periods to a day.
    period_s: Period [s], 1e-5 to 10.
    priority: SCHED_FIFO priority, 1..99.
    cpu: CPU to stay on; None is anywhere.
    spin_s: Busy wait before each deadline [s]: 0 up to the period, of which at most half is spent.
    mode: Whether a refused privilege is an error.
    lock_memory: Lock the memory of this process, which stays locked afterwards.

Returns:
    dict: p50, p99, p999, max, mean [us]; count, missed (deadlines without a tick); grant: fifo, affinity,
    memory_locked, stack_prefaulted, cpu_awake, priority, cpu (None: not bound), refused (one sentence each).

Raises:
    ConfigError: A parameter is outside its bounds.
    RealtimeError: `mode` is Enforce and a privilege was refused.)");
}

}  // namespace vla_rt::bindings
