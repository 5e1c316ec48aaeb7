#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/action_space/normalizer.hpp"
#include "vla_rt/action_space/normalizer_statistics.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

Normalizer make_normalizer(const std::string& mode, const std::string& convention, const py::object& mask,
                           const py::kwargs& stats) {
  NormalizerSpec spec;
  spec.mode = normalization_mode_from_string(mode, "mode");
  spec.convention = normalization_convention_from_string(convention, "convention");
  for (const auto& [key, value] : stats) {
    const auto name = key.cast<std::string>();
    if (name == "count" || name == "q50") continue;  // in every LeRobot statistics file; no mode uses them
    bool known = false;
    for (const auto& [field, member] : kNormalizerStatistics) {
      if (name != field) continue;
      spec.*member = vector_of<double>(py::reinterpret_borrow<ArrayLike>(value), name);
      known = true;
    }
    if (!known)
      throw ConfigError(name, "", "no such statistic; known: mean, std, min, max, q01, q99, q10, q90");
  }
  if (!mask.is_none()) {
    const auto flags = vector_of<std::int64_t>(py::reinterpret_borrow<ArrayLike>(mask), "mask");
    for (std::size_t i = 0; i < flags.size(); ++i) {
      if (flags[i] != 0 && flags[i] != 1)
        throw ConfigError(indexed("mask", static_cast<long>(i)), std::to_string(flags[i]),
                          "must be True or False");
      spec.mask.push_back(static_cast<std::uint8_t>(flags[i]));
    }
  }
  return Normalizer(std::move(spec));
}

py::dict statistics_of(const Normalizer& normalizer) {
  py::dict stats;
  for (const auto& [name, member] : kNormalizerStatistics) {
    const std::vector<double>& values = normalizer.spec().*member;
    if (!values.empty()) stats[name] = array_of<double>(values);
  }
  return stats;
}

py::object mask_of(const Normalizer& normalizer) {
  const auto& mask = normalizer.spec().mask;
  if (mask.empty()) return py::none();
  py::array_t<bool> flags(static_cast<py::ssize_t>(mask.size()));
  for (std::size_t i = 0; i < mask.size(); ++i) flags.mutable_at(static_cast<py::ssize_t>(i)) = mask[i] != 0;
  return flags;
}

template <bool kForward>
Array<double> apply(const Normalizer& normalizer, const ArrayLike& values, const char* name) {
  const Array<double> in = row_major<double>(values, name);
  if (normalizer.dimension() != 0) require_last(in, name, {normalizer.dimension()});
  require_finite(in, name);
  Array<double> out = empty_like<double>(in);
  const auto from = elements(in);
  const auto to = mutable_elements(out);
  without_gil(in.size() * 4,
              [&] { kForward ? normalizer.normalize(from, to) : normalizer.denormalize(from, to); });
  return out;
}

}  // namespace

void bind_normalizer(py::module_& m) {
  py::class_<Normalizer>(
      m, "Normalizer",
      "Maps raw values to the numbers a policy was trained on, and back.\n\n"
      "Formulas, epsilons, clipping and asymmetries are those of the project named by `convention`; "
      "the C++ header `vla_rt/action_space/normalizer.hpp` lists them.")
      .def(py::init(&make_normalizer), py::arg("mode"), py::arg("convention") = "lerobot",
           py::arg("mask") = py::none(),
           "Args:\n"
           "    mode: identity, mean_std (needs mean, std), min_max (min, max), quantiles (q01, q99) or "
           "quantile10\n"
           "        (q10, q90).\n"
           "    convention: lerobot, openvla, openpi or groot.\n"
           "    mask: (D,) bool; False leaves that dimension alone.\n"
           "    **stats: (D,) each, in the raw unit: mean, std, min, max, q01, q99, q10, q90. Those that the "
           "mode does\n"
           "        not use are dropped; LeRobot's count and q50 are ignored.\n\n"
           "Raises:\n"
           "    ConfigError: a missing statistic, unequal lengths, a number that is not finite, std < 0, "
           "lower > upper.")
      .def(
          "normalize", [](const Normalizer& n, const ArrayLike& x) { return apply<true>(n, x, "x"); },
          py::arg("x"),
          "Raw (..., D) to normalised (..., D), float64.\n\nRaises ConfigError for NaN, infinity or another "
          "D.")
      .def(
          "denormalize", [](const Normalizer& n, const ArrayLike& y) { return apply<false>(n, y, "y"); },
          py::arg("y"),
          "Normalised (..., D) to raw (..., D), float64.\n\nRaises ConfigError for NaN, infinity or another "
          "D.")
      .def_property_readonly("mode", [](const Normalizer& n) { return to_string(n.spec().mode); })
      .def_property_readonly("convention", [](const Normalizer& n) { return to_string(n.spec().convention); })
      .def_property_readonly("dimension", &Normalizer::dimension, "D; 0 where any D is accepted (identity).")
      .def_property_readonly("stats", &statistics_of, "The statistics in use: name -> (D,) float64, a copy.")
      .def_property_readonly("mask", &mask_of, "(D,) bool, or None.")
      .def(
          "__eq__", [](const Normalizer& a, const Normalizer& b) { return a.spec() == b.spec(); },
          py::is_operator())
      .def("__repr__",
           [](const Normalizer& n) {
             return "Normalizer(mode='" + std::string(to_string(n.spec().mode)) + "', convention='" +
                    to_string(n.spec().convention) + "', dimension=" + std::to_string(n.dimension()) + ")";
           })
      .def(py::pickle(
          [](const Normalizer& n) {
            return py::make_tuple(to_string(n.spec().mode), to_string(n.spec().convention), mask_of(n),
                                  statistics_of(n));
          },
          [](const py::tuple& state) {
            return make_normalizer(state[0].cast<std::string>(), state[1].cast<std::string>(), state[2],
                                   py::kwargs(state[3].cast<py::dict>()));
          }));
}

}  // namespace vla_rt::bindings
