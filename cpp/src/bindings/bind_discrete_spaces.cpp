#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/action_spaces.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/action_space/discrete_action_space.hpp"
#include "vla_rt/action_space/hybrid_action_space.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

Array<std::int64_t> draw(const DiscreteActionSpace& s, const py::object& probabilities, std::uint64_t seed,
                         const py::object& logits) {
  if (probabilities.is_none() == logits.is_none())
    throw ConfigError("probabilities, logits", "", "give one of the two");
  const bool soft = probabilities.is_none();
  const char* name = soft ? "logits" : "probabilities";
  const Array<double> in =
      row_major<double>(py::reinterpret_borrow<ArrayLike>(soft ? logits : probabilities), name);
  require_last(in, name, {static_cast<py::ssize_t>(s.num_actions())});
  require_finite(in, name);
  Array<std::int64_t> out = with_last<std::int64_t>(in, 1, {});
  const auto to = mutable_elements(out);
  const auto from = elements(in);
  without_gil(in.size() * 16, [&] {
    if (soft) {
      s.sample_logits(from, seed, to);
    } else {
      s.sample(from, seed, to);
    }
  });
  return out;
}

void bind_discrete(py::module_& m) {
  Class<DiscreteActionSpace, ActionSpace>(
      m, "DiscreteActionSpace",
      "One of n actions, written as its index; D = 1, and arrays of indices may have any shape.\n\n"
      "The indices map to n evenly spaced points of [-1, 1] (0 where n is 1); back, the nearest index is "
      "taken.")
      .def(picklable<DiscreteActionSpace>())
      .def(py::init<std::int64_t>(), py::arg("n"), "Raises ConfigError unless 1 <= n < 2^31.")
      .def_property_readonly("num_actions", &DiscreteActionSpace::num_actions, "n.")
      .def(
          "normalize",
          [](const DiscreteActionSpace& s, const ArrayLike& a) {
            const Array<double> in = row_major<double>(a, "actions");
            require_finite(in, "actions");
            return mapped(in, [&](auto from, auto to) { s.normalize(from, to); });
          },
          py::arg("a"), "Indices of any shape to [-1, 1]. Raises ConfigError naming an index outside 0..n-1.")
      .def(
          "denormalize",
          [](const DiscreteActionSpace& s, const ArrayLike& x) {
            const Array<double> in = row_major<double>(x, "normalized");
            require_finite(in, "normalized");
            const Array<double> nearest = mapped(in, [&](auto from, auto to) { s.denormalize(from, to); });
            return row_major<std::int64_t>(py::reinterpret_borrow<ArrayLike>(nearest.attr("astype")("int64")),
                                           "x");
          },
          py::arg("x"),
          "[-1, 1] of any shape to the nearest indices, int64; beyond +-1 the first or the last.")
      .def("sample", &draw, py::arg("probabilities") = py::none(), py::arg("seed") = 0,
           py::arg("logits") = py::none(),
           "Draws an index per row.\n\n"
           "Args:\n"
           "    probabilities: (..., n), >= 0, summing to 1 within 1e-3; or\n"
           "    logits: (..., n), softmaxed first.\n"
           "    seed: equal seeds give equal draws on every platform.\n\n"
           "Returns:\n"
           "    (...) int64.");
}

void bind_hybrid(py::module_& m) {
  Class<HybridActionSpace, ActionSpace>(m, "HybridActionSpace",
                                        "A choice of skill with that skill's own parameters.\n\n"
                                        "An action is [skill index, parameters, zeros]; D = 1 + the largest "
                                        "number of parameters. The index maps as in\n"
                                        "a DiscreteActionSpace, the parameters as in their own space; the "
                                        "numbers behind them are 0 and ignored.")
      .def(picklable<HybridActionSpace>())
      .def(py::init([](const py::dict& skills) {
             std::vector<SkillSpec> made;
             for (const auto& [name, space] : skills) {
               const auto text = py::str(name).cast<std::string>();
               SkillSpec skill{text, {}};
               if (!space.is_none()) {
                 if (!py::isinstance<ActionSpace>(space))
                   throw ConfigError("skills[" + text + "]", py::repr(space).cast<std::string>(),
                                     "must be an action space or None");
                 skill.parameters.push_back(space.cast<const ActionSpace&>().spec());
               }
               made.push_back(std::move(skill));
             }
             return std::make_shared<HybridActionSpace>(std::move(made));
           }),
           py::arg("skills"),
           "Args:\n    skills: name -> space of its parameters, or None for a skill without any.")
      .def_property_readonly(
          "skills",
          [](const HybridActionSpace& s) {
            py::dict skills;
            for (const auto& skill : s.spec().skills)
              skills[py::str(skill.name)] = skill.parameters.empty()
                                                ? py::object(py::none())
                                                : py::cast(make_space(skill.parameters[0]));
            return skills;
          },
          "name -> space of its parameters, or None.")
      .def(
          "pack",
          [](const HybridActionSpace& s, const std::string& skill, const py::object& parameters) {
            const int index = s.skill_index(skill);
            const ActionSpace* space = s.parameters(index);
            Array<double> given(std::vector<py::ssize_t>{0});
            if (!parameters.is_none())
              given = row_major<double>(py::reinterpret_borrow<ArrayLike>(parameters), "parameters");
            require_last(given, "parameters", {space == nullptr ? 0 : space->dimension()});
            require_finite(given, "parameters");
            const py::ssize_t width = given.shape(given.ndim() - 1);
            Array<double> out = with_last<double>(given, 1, {s.dimension()});
            const auto from = elements(given);
            const auto to = mutable_elements(out);
            const auto dim = static_cast<std::size_t>(s.dimension()), n = static_cast<std::size_t>(width);
            without_gil(out.size(), [&] {
              std::fill(to.begin(), to.end(), 0.0);
              for (std::size_t r = 0; r * dim < to.size(); ++r) {
                to[r * dim] = index;
                std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(r * n), n,
                            to.begin() + static_cast<std::ptrdiff_t>(r * dim + 1));
              }
            });
            return out;
          },
          py::arg("skill"), py::arg("parameters") = py::none(),
          "The action of a skill by name: parameters (..., P) to (..., D).")
      .def(
          "unpack",
          [](const HybridActionSpace& s, const ArrayLike& a) {
            const Array<double> in = checked(a, "actions", s.dimension());
            require_shape(in, "actions", {s.dimension()});
            mapped(in, [&](auto from, auto to) { s.normalize(from, to); });  // for its checks
            const int index = static_cast<int>(in.at(0));
            const ActionSpace* space = s.parameters(index);
            const auto used = static_cast<std::size_t>(space == nullptr ? 0 : space->dimension());
            return py::make_tuple(s.skill_name(index), array_of<double>(elements(in).subspan(1, used)));
          },
          py::arg("a"), "One action (D,) to (skill name, parameters (P,)).");
}

}  // namespace

void bind_discrete_spaces(py::module_& m) {
  bind_discrete(m);
  bind_hybrid(m);
}

}  // namespace vla_rt::bindings
