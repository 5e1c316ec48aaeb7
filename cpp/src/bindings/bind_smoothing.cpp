#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <utility>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/choices.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/smoothing/butterworth_filter.hpp"
#include "vla_rt/smoothing/low_pass_filter.hpp"
#include "vla_rt/smoothing/row_interpolator.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

template <class Filter>
void require_signals(const Filter& filter, const py::array& x, const char* name, py::ssize_t signals) {
  const bool good =
      filter.dimension() == 0 ? signals >= 1 && signals <= kMaxActionDim : signals == filter.dimension();
  if (good) return;
  const std::string bound = filter.dimension() == 0
                                ? "1.." + std::to_string(kMaxActionDim)
                                : std::to_string(filter.dimension()) + ", as the first sample";
  throw ConfigError(name, "shape " + shape_text(x), "must hold D numbers, D = " + bound);
}

template <class Filter>
py::object filter_sample(Filter& filter, const ArrayLike& sample) {
  const Array<double> x = row_major<double>(sample, "x");
  if (x.ndim() > 1) throw ConfigError("x", "shape " + shape_text(x), "must have shape (D,)");
  require_signals(filter, x, "x", x.size());
  Array<double> y = empty_like<double>(x);
  filter.update(elements(x), mutable_elements(y));
  if (x.ndim() == 0) return py::float_(*y.data());
  return y;
}

template <class Filter>
Array<double> filter_samples(Filter& filter, const ArrayLike& samples) {
  const Array<double> x = row_major<double>(samples, "X");
  if (x.ndim() != 1 && x.ndim() != 2)
    throw ConfigError("X", "shape " + shape_text(x), "must have shape (n, D)");
  const py::ssize_t signals = x.ndim() == 2 ? x.shape(1) : 1;
  Array<double> y = empty_like<double>(x);
  if (x.shape(0) == 0) return y;
  require_signals(filter, x, "X", signals);
  const auto from = elements(x);
  const auto to = mutable_elements(y);
  const auto D = static_cast<std::size_t>(signals);
  without_gil(x.size(), [&] {
    for (std::size_t at = 0; at < from.size(); at += D) filter.update(from.subspan(at, D), to.subspan(at, D));
  });
  return y;
}

template <class Filter>
py::class_<Filter> bind_filter(py::module_& m, const char* name, const char* doc) {
  return py::class_<Filter>(m, name, doc)
      .def("update", &filter_sample<Filter>, py::arg("x"),
           R"(One sample (D,) in, one out; D is that of the first sample. A plain number gives a plain number.

A number that is not finite counts as a repetition of that signal's last good one.

Raises:
    ConfigError: another D than the first sample's, or no numbers.)")
      .def("filter", &filter_samples<Filter>, py::arg("X"),
           R"(Samples (n, D), or (n,) of one signal, in, as many out; the same as `update` row by row.

Raises:
    ConfigError: another D than the first sample's, or no numbers.)")
      .def("reset", [](Filter& filter) { filter.reset(); }, "Forgets the past.");
}

py::tuple interpolate(const RowInterpolator& motion, const ArrayLike& time_s) {
  const Array<double> times = row_major<double>(time_s, "time_s");
  if (times.ndim() > 1)
    throw ConfigError("time_s", "shape " + shape_text(times), "must be a time or have shape (n,)");
  require_finite(times, "time_s");
  const auto D = static_cast<std::size_t>(motion.action_dim());
  Array<double> position = with_last<double>(times, 0, {motion.action_dim()}),
                velocity = empty_like<double>(position), acceleration = empty_like<double>(position);
  const auto t = elements(times);
  const auto q = mutable_elements(position), dq = mutable_elements(velocity),
             ddq = mutable_elements(acceleration);
  without_gil(position.size(), [&] {
    for (std::size_t i = 0; i < t.size(); ++i)
      motion.evaluate(t[i], q.subspan(i * D, D), dq.subspan(i * D, D), ddq.subspan(i * D, D));
  });
  return py::make_tuple(std::move(position), std::move(velocity), std::move(acceleration));
}

}  // namespace

void bind_smoothing(py::module_& m) {
  bind_filter<LowPassFilter>(
      m, "LowPassFilter",
      R"(Exponential smoothing: y = alpha * y_previous + (1 - alpha) * x; the first output is the first input.

Slow signals come out alpha / (1 - alpha) samples late (`delay_samples`).

Args:
    alpha: weight of the past, 0 <= alpha < 1.

Raises:
    ConfigError: alpha is out of its range.)")
      .def(py::init<double>(), py::arg("alpha"))
      .def_property_readonly("alpha", &LowPassFilter::alpha, "Weight of the past.")
      .def_property_readonly("delay_samples", &LowPassFilter::delay_samples,
                             "How late slow signals come out.");

  bind_filter<ButterworthFilter>(
      m, "ButterworthFilter",
      R"(Butterworth low-pass, the one of scipy.signal.butter(order, cutoff_hz, fs=rate_hz), settled on the first sample.

Slow signals come out `delay_s` late, about 0.225 / cutoff_hz for order 2; at the cutoff the gain is -3 dB and the lag 45
degrees per order.

Args:
    cutoff_hz: between 0 and rate_hz / 2.
    rate_hz: samples per second.
    order: 1..8.

Raises:
    ConfigError: a value is out of its range.)")
      .def(py::init<double, double, int>(), py::arg("cutoff_hz"), py::arg("rate_hz"), py::arg("order") = 2)
      .def_property_readonly("order", &ButterworthFilter::order, "Poles of the filter.")
      .def_property_readonly("delay_s", &ButterworthFilter::delay_s, "How late slow signals come out [s].");

  py::class_<RowInterpolator>(m, "RowInterpolator", R"(The motion through rows (T, D) of even spacing.

Args:
    rows: (T, D), row t at t * period_s.
    period_s: time between rows [s].
    interpolation: "linear"; "cubic", the not-a-knot spline of scipy.interpolate.CubicSpline; or "quintic", pieces that
        match velocity and acceleration estimated at the rows (local, and also continuous in acceleration).

Raises:
    ConfigError: wrong shape, a number that is not finite, or a period that is not > 0.)")
      .def(py::init([](const ArrayLike& rows, double period_s, const std::string& interpolation) {
             const Array<double> in = row_major<double>(rows, "rows");
             require_shape(in, "rows", {-1, -1});
             if (in.shape(0) < 1 || in.shape(0) > kMaxHorizon || in.shape(1) < 1 ||
                 in.shape(1) > kMaxActionDim)
               throw ConfigError("rows", "shape " + shape_text(in),
                                 "must have shape (T, D), T in 1.." + std::to_string(kMaxHorizon) +
                                     ", D in 1.." + std::to_string(kMaxActionDim));
             const int horizon = static_cast<int>(in.shape(0));
             RowInterpolator motion(static_cast<int>(in.shape(1)), horizon,
                                    interpolation_from(interpolation));
             motion.fit(elements(in), horizon, period_s);
             return motion;
           }),
           py::arg("rows"), py::arg("period_s"), py::arg("interpolation") = "cubic")
      .def_static(
          "minimum_jerk",
          [](const ArrayLike& start, const ArrayLike& goal, double duration_s) {
            const Array<double> from = row_major<double>(start, "start"),
                                to = row_major<double>(goal, "goal");
            require_shape(from, "start", {-1});
            require_shape(to, "goal", {from.size()});
            return RowInterpolator::minimum_jerk(elements(from), elements(to), duration_s);
          },
          py::arg("start"), py::arg("goal"), py::arg("duration_s"),
          "The motion of least squared jerk from rest at `start` (D,) to rest at `goal` (D,) in "
          "`duration_s`.")
      .def(
          "at", &interpolate, py::arg("time_s"),
          R"(Position, velocity and acceleration at a time after row 0, (D,) each, or at times (n,), (n, D) each.

A time outside the rows is taken as the nearest end.)")
      .def_property_readonly("horizon", &RowInterpolator::horizon, "T.")
      .def_property_readonly("action_dim", &RowInterpolator::action_dim, "D.")
      .def_property_readonly("duration_s", &RowInterpolator::duration_s,
                             "From the first row to the last [s].");
}

}  // namespace vla_rt::bindings
