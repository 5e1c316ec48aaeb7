#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/choices.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/execution/delay_estimator.hpp"
#include "vla_rt/sampling/prefix_weights.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {

void bind_rtc(py::module_& m) {
  m.def(
      "prefix_weights",
      [](int delay, int end, int horizon, const std::string& schedule) {
        if (horizon < 1 || horizon > kMaxHorizon)
          throw ConfigError("horizon", std::to_string(horizon),
                            "must be in 1.." + std::to_string(kMaxHorizon));
        Array<double> weights(horizon);
        prefix_weights(delay, end,
                       choice<PrefixSchedule>(schedule, "schedule",
                                              {{"linear", PrefixSchedule::Linear},
                                               {"exp", PrefixSchedule::Exp},
                                               {"ones", PrefixSchedule::Ones},
                                               {"zeros", PrefixSchedule::Zeros}}),
                       mutable_elements(weights));
        return weights;
      },
      py::arg("delay"), py::arg("end"), py::arg("horizon"), py::arg("schedule") = "exp",
      R"(How strongly each row of a new chunk is held to the previous one (real-time chunking).

Args:
    delay: rows executed while the policy computes: weight 1.
    end: first row that is free again; clipped to the horizon. Between the two the weights fall.
    horizon: T, 1..256.
    schedule: "linear", "exp" (falls fast at first), "ones" (1 to the end) or "zeros" (0 after the delay).

Returns:
    (T,) weights in [0, 1].

Raises:
    ConfigError: a negative delay or end, or an unknown schedule.)");

  py::class_<DelayEstimator>(m, "DelayEstimator",
                             R"(How long the next inference will take, from the last ones.

A quantile of the last 128 latencies; each weighs half of one that is `half_life` inferences younger. The first one does
not count (cold caches), and none counts for more rows than were really executed meanwhile.

Args:
    period_s: time between rows [s].
    quantile: in (0, 1].
    half_life: in inferences, > 0.

Raises:
    ConfigError: a value is out of its range.)")
      .def(py::init<double, double, double>(), py::arg("period_s"), py::arg("quantile") = 0.95,
           py::arg("half_life") = 20.0)
      .def(
          "add",
          [](DelayEstimator& self, double latency_s, std::optional<int> moved_rows) {
            if (!(latency_s >= 0 && latency_s <= 1e9))
              throw ConfigError("latency_s", number(latency_s), "must be in 0..1e9");
            if (moved_rows && *moved_rows < 0)
              throw ConfigError("moved_rows", std::to_string(*moved_rows), "must be >= 0");
            self.add(latency_s, moved_rows.value_or(-1));
          },
          py::arg("latency_s"), py::arg("moved_rows") = py::none(),
          "One inference: its latency [s], and how many rows the execution moved on meanwhile, if known.")
      .def("reset", &DelayEstimator::reset, "Forgets all; the next inference is cold again.")
      .def_property_readonly("delay_s", &DelayEstimator::delay_s,
                             "The estimate [s]; 0 before the second inference.")
      .def_property_readonly("delay_rows", &DelayEstimator::delay_rows, "The estimate in rows, rounded up.")
      .def_property_readonly("count", &DelayEstimator::count, "Latencies the estimate rests on.");
}

}  // namespace vla_rt::bindings
