#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/choices.hpp"
#include "bindings/python_guidance.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/execution/delay_estimator.hpp"
#include "vla_rt/sampling/prefix_weights.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

PrefixSchedule schedule_from(const std::string& word) {
  return choice<PrefixSchedule>(word, "schedule",
                                {{"linear", PrefixSchedule::Linear},
                                 {"exp", PrefixSchedule::Exp},
                                 {"ones", PrefixSchedule::Ones},
                                 {"zeros", PrefixSchedule::Zeros}});
}

const char* word_of(PrefixSchedule schedule) {
  switch (schedule) {
    case PrefixSchedule::Linear:
      return "linear";
    case PrefixSchedule::Exp:
      return "exp";
    case PrefixSchedule::Ones:
      return "ones";
    case PrefixSchedule::Zeros:
      return "zeros";
  }
  return "unknown";
}

// A whole number of rows; throws ConfigError for anything else.
int rows_from(const py::object& value, const char* name) {
  const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!index || py::isinstance<py::bool_>(value)) {
    PyErr_Clear();
    throw ConfigError(name, py::repr(value).cast<std::string>(), "must be an integer");
  }
  int overflow = 0;
  const long long rows = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow != 0 || rows < 0 || rows > kMaxHorizon)
    throw ConfigError(name, py::str(index).cast<std::string>(),
                      "must be in 0.." + std::to_string(kMaxHorizon));
  return static_cast<int>(rows);
}

PythonGuidance make_guidance(const ArrayLike& previous, const py::object& delay,
                             const py::object& execution_horizon, double max_weight,
                             const std::string& schedule, const std::string& jacobian) {
  PythonGuidance guidance;
  const Array<double> given = row_major<double>(previous, "previous");
  const auto shape = shape_text(given);
  if ((given.ndim() != 2 && given.ndim() != 3) || given.size() == 0)
    throw ConfigError("previous", "shape " + shape, "must be (L, D) or (B, L, D), none of them 0");
  if (given.shape(given.ndim() - 2) > kMaxHorizon || given.shape(given.ndim() - 1) > kMaxActionDim)
    throw ConfigError(
        "previous", "shape " + shape,
        "must be at most " + std::to_string(kMaxHorizon) + " rows of " + std::to_string(kMaxActionDim));
  require_finite(given, "previous");
  guidance.previous = Array<double>(std::vector<py::ssize_t>(given.shape(), given.shape() + given.ndim()),
                                    given.data());  // a copy
  guidance.delay = rows_from(delay, "delay");
  guidance.end = rows_from(execution_horizon, "execution_horizon");
  guidance.options = {max_weight, schedule_from(schedule),
                      guidance_jacobian_from_string(jacobian, "jacobian")};
  guidance.options.validate();
  return guidance;
}

void bind_guidance(py::module_& m) {
  py::class_<GuidanceOptions>(m, "GuidanceOptions", "How chunks continue the one before; see `Guidance`.")
      .def(py::init([](double max_weight, const std::string& schedule, const std::string& jacobian) {
             const GuidanceOptions options{max_weight, schedule_from(schedule),
                                           guidance_jacobian_from_string(jacobian, "jacobian")};
             options.validate();
             return options;
           }),
           py::arg("max_weight") = 5.0, py::arg("schedule") = "exp", py::arg("jacobian") = "identity");

  py::class_<PythonGuidance>(m, "Guidance",
                             R"(Makes a sampled chunk continue a previous one (real-time chunking).

For the `guidance` of samplers and policies. Flow matching is guided as Black, Galliker and Levine (2025) say, at every
stage; DDPM, DDIM and DPM-Solver by the same step on the predicted clean sample (identity Jacobian only).

Args:
    previous: (L, D) or (B, L, D), L at most the horizon T: the previous chunk, shifted so that its row 0 is for the new
        chunk's row 0, in the units the sampler works in (raw for `Policy.sample`). Its last row is held beyond L.
    delay: rows executed while the policy computes; they keep weight 1. At most T.
    execution_horizon: first row that is free again (the prefix end); clipped to T.
    max_weight: largest guidance strength, finite and >= 0.
    schedule: how the weights fall from delay to execution_horizon; see `prefix_weights`.
    jacobian: "identity" (the error itself), "vjp" (the network's vector-Jacobian product: a denoiser's
        `vjp(x, t, c)`, TorchScript packages by autograd) or "finite_differences" (the same from 2 T D evaluations per
        stage, for any network).

Raises:
    ConfigError: a value is out of its range, or `previous` is not finite. What does not fit the sample is refused
        when sampling.)")
      .def(py::init(&make_guidance), py::arg("previous"), py::arg("delay"), py::arg("execution_horizon"),
           py::arg("max_weight") = 5.0, py::arg("schedule") = "exp", py::arg("jacobian") = "identity")
      .def_property_readonly(
          "previous", [](const PythonGuidance& g) { return Array<double>(g.previous.attr("copy")()); },
          "The previous chunk, a copy.")
      .def_readonly("delay", &PythonGuidance::delay, "Rows of weight 1.")
      .def_readonly("execution_horizon", &PythonGuidance::end, "First free row.")
      .def_property_readonly(
          "max_weight", [](const PythonGuidance& g) { return g.options.max_weight; }, "Largest strength.")
      .def_property_readonly(
          "schedule", [](const PythonGuidance& g) { return word_of(g.options.schedule); },
          "How the weights fall.")
      .def_property_readonly(
          "jacobian", [](const PythonGuidance& g) { return to_string(g.options.jacobian); },
          "What stands for the Jacobian.");
}

}  // namespace

void bind_rtc(py::module_& m) {
  bind_guidance(m);
  m.def(
      "prefix_weights",
      [](int delay, int end, int horizon, const std::string& schedule) {
        if (horizon < 1 || horizon > kMaxHorizon)
          throw ConfigError("horizon", std::to_string(horizon),
                            "must be in 1.." + std::to_string(kMaxHorizon));
        Array<double> weights(horizon);
        prefix_weights(delay, end, schedule_from(schedule), mutable_elements(weights));
        return weights;
      },
      py::arg("delay"), py::arg("end"), py::arg("horizon"), py::arg("schedule") = "linear",
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
