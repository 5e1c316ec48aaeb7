#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/action_spaces.hpp"
#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/action_space/continuous_action_space.hpp"
#include "vla_rt/action_space/joint_space.hpp"
#include "vla_rt/action_space/rotation.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

constexpr const char* kNormalizeDoc =
    "Raw (..., D) to [-1, 1], (..., D) float64. Nothing is clipped.\n\n"
    "Raises ConfigError naming the element for NaN or infinity, or the shape for another D.";
constexpr const char* kDenormalizeDoc =
    "[-1, 1] (..., D) to raw (..., D) float64. Nothing is clipped.\n\n"
    "Raises ConfigError naming the element for NaN or infinity, or the shape for another D.";

ActionSpaceSpec from_dict(const py::dict& d, int depth = 0) {
  const auto field = [&](const char* name) {
    if (!d.contains(name)) throw ConfigError(name, "", "missing in the action space");
    return py::reinterpret_borrow<ArrayLike>(py::object(d[name]));
  };
  ActionSpaceSpec spec;
  spec.kind = action_space_kind_from_string(py::str(field("kind")).cast<std::string>(), "kind");
  if (spec.kind == ActionSpaceKind::Discrete) {
    if (!py::isinstance<py::int_>(field("num_actions")))
      throw ConfigError("num_actions", py::repr(field("num_actions")).cast<std::string>(),
                        "must be an integer");
    spec.num_actions = field("num_actions").cast<std::int64_t>();
  } else if (spec.kind == ActionSpaceKind::Hybrid) {
    if (depth > 0)
      throw ConfigError("skills", "hybrid", "a skill's parameters must not be hybrid themselves");
    if (!py::isinstance<py::list>(field("skills"))) throw ConfigError("skills", "", "must be a list");
    for (const py::handle entry : field("skills").cast<py::list>()) {
      if (!py::isinstance<py::dict>(entry) ||
          !py::dict(py::reinterpret_borrow<py::dict>(entry)).contains("name"))
        throw ConfigError("skills", py::repr(entry).cast<std::string>(),
                          "must hold a name and parameters each");
      const auto skill = py::reinterpret_borrow<py::dict>(entry);
      SkillSpec made{py::str(skill["name"]).cast<std::string>(), {}};
      if (skill.contains("parameters") && !skill["parameters"].is_none()) {
        if (!py::isinstance<py::dict>(skill["parameters"]))
          throw ConfigError("skills[" + made.name + "]", "", "parameters must be a dict or None");
        made.parameters.push_back(from_dict(skill["parameters"].cast<py::dict>(), depth + 1));
      }
      spec.skills.push_back(std::move(made));
    }
  } else {
    spec.lower = vector_of<double>(field("lower"), "lower");
    spec.upper = vector_of<double>(field("upper"), "upper");
  }
  return spec;
}

void bind_base(py::module_& m) {
  Class<ActionSpace>(
      m, "ActionSpace",
      "What the D numbers of a raw action mean, and how they map to [-1, 1] and back. Immutable.")
      .def_property_readonly("kind", [](const ActionSpace& s) { return to_string(s.kind()); })
      .def_property_readonly("dimension", &ActionSpace::dimension, "D.")
      .def(
          "normalize",
          [](const ActionSpace& s, const ArrayLike& a) {
            return mapped(checked(a, "actions", s.dimension()),
                          [&](auto in, auto out) { s.normalize(in, out); });
          },
          py::arg("a"), kNormalizeDoc)
      .def(
          "denormalize",
          [](const ActionSpace& s, const ArrayLike& x) {
            return mapped(checked(x, "normalized", s.dimension()),
                          [&](auto in, auto out) { s.denormalize(in, out); });
          },
          py::arg("x"), kDenormalizeDoc)
      .def(
          "to_dict", [](const ActionSpace& s) { return to_dict(s.spec()); },
          "The space as plain values, ready for JSON; `ActionSpace.from_dict` reads it back.")
      .def_static(
          "from_dict", [](const py::dict& d) { return make_space(d); }, py::arg("values"),
          "The space that `to_dict` described.\n\nRaises ConfigError naming the field that is wrong.")
      .def(
          "__eq__", [](const ActionSpace& a, const ActionSpace& b) { return a.spec() == b.spec(); },
          py::is_operator())
      .def("__repr__", [](const ActionSpace& s) {
        return "ActionSpace.from_dict(" + py::repr(to_dict(s.spec())).cast<std::string>() + ")";
      });
}

void bind_bounded(py::module_& m) {
  Class<BoundedActionSpace, ActionSpace>(m, "BoundedActionSpace",
                                         "Every dimension has a lower and an upper bound.")
      .def_property_readonly(
          "lower", [](const BoundedActionSpace& s) { return array_of<double>(s.lower()); },
          "(D,) in the raw unit.")
      .def_property_readonly(
          "upper", [](const BoundedActionSpace& s) { return array_of<double>(s.upper()); },
          "(D,) in the raw unit.")
      .def(
          "clip",
          [](const BoundedActionSpace& s, const ArrayLike& a) {
            return mapped(checked(a, "actions", s.dimension()), [&](auto in, auto out) { s.clip(in, out); });
          },
          py::arg("a"), "Raw (..., D) with every number moved into its bounds.");

  Class<JointPositionSpace, BoundedActionSpace>(m, "JointPositionSpace",
                                                "Joint positions [rad] or [m], D = N joints.")
      .def(picklable<JointPositionSpace>())
      .def(py::init([](const ArrayLike& lower, const ArrayLike& upper) {
             return std::make_shared<JointPositionSpace>(vector_of<double>(lower, "lower"),
                                                         vector_of<double>(upper, "upper"));
           }),
           py::arg("lower"), py::arg("upper"),
           "Bounds (N,), lower < upper. Raises ConfigError naming the entry.");
  Class<JointVelocitySpace, BoundedActionSpace>(m, "JointVelocitySpace",
                                                "Joint velocities [rad/s] or [m/s], D = N.")
      .def(picklable<JointVelocitySpace>())
      .def(py::init([](const ArrayLike& v) {
             return std::make_shared<JointVelocitySpace>(vector_of<double>(v, "max_velocity"));
           }),
           py::arg("max_velocity"), "Symmetric bounds (N,), > 0. Raises ConfigError naming the entry.");

  Class<ContinuousActionSpace, BoundedActionSpace>(m, "ContinuousActionSpace",
                                                   "Continuous actions of any meaning within [low, high].")
      .def(picklable<ContinuousActionSpace>())
      .def(py::init([](const ArrayLike& low, const ArrayLike& high) {
             return std::make_shared<ContinuousActionSpace>(vector_of<double>(low, "low"),
                                                            vector_of<double>(high, "high"));
           }),
           py::arg("low"), py::arg("high"), "Bounds (D,), low < high. Raises ConfigError naming the entry.")
      .def(
          "squash",
          [](const ContinuousActionSpace& s, const ArrayLike& logits) {
            return mapped(checked(logits, "logits", s.dimension()),
                          [&](auto in, auto out) { s.squash(in, out); });
          },
          py::arg("logits"), "Logits (..., D) to raw actions: (tanh + 1)/2 of the way from low to high.")
      .def(
          "sample",
          [](const ContinuousActionSpace& s, const ArrayLike& mean, const ArrayLike& std,
             std::uint64_t seed) {
            const Array<double> center = checked(mean, "mean", s.dimension());
            const Array<double> given = row_major<double>(std, "std");
            const py::object shape = center.attr("shape");
            const auto numpy = py::module_::import("numpy");
            py::object spread;
            try {
              spread = numpy.attr("broadcast_to")(given, shape);
            } catch (const py::error_already_set&) {
              throw ConfigError("std", "shape " + shape_text(given),
                                "must broadcast to " + shape_text(center));
            }
            const Array<double> dense = row_major<double>(py::reinterpret_borrow<ArrayLike>(spread), "std");
            return mapped(center, [&](auto in, auto out) { s.sample(in, elements(dense), seed, out); });
          },
          py::arg("mean"), py::arg("std"), py::arg("seed") = 0,
          "mean + std * normal noise, moved into the bounds.\n\n"
          "Args:\n"
          "    mean: (..., D), raw.\n"
          "    std: >= 0, raw; anything that broadcasts to mean.\n"
          "    seed: equal seeds give equal noise on every platform.");
}

void bind_rotations(py::module_& m) {
  m.def(
      "convert_rotations",
      [](const ArrayLike& rotations, const std::string& source, const std::string& target) {
        const RotationFormat from = rotation_format_from_string(source, "source");
        const RotationFormat to = rotation_format_from_string(target, "target");
        const Array<double> in = row_major<double>(rotations, "rotations");
        const bool matrix_in = from == RotationFormat::Matrix;
        if (matrix_in) {
          require_last(in, "rotations", {3, 3});
        } else {
          require_last(in, "rotations", {static_cast<py::ssize_t>(size_of(from))});
        }
        require_finite(in, "rotations");
        const int drop = matrix_in ? 2 : 1;
        Array<double> out = to == RotationFormat::Matrix
                                ? with_last<double>(in, drop, {3, 3})
                                : with_last<double>(in, drop, {static_cast<py::ssize_t>(size_of(to))});
        const auto values = elements(in);
        const auto written = mutable_elements(out);
        without_gil(in.size() * 8, [&] { convert_rotations(from, to, values, written); });
        return out;
      },
      py::arg("rotations"), py::arg("source"), py::arg("target"),
      "Rotations from one format to another, any leading dims; see `vla_rt.rotations`.");
}

}  // namespace

py::dict to_dict(const ActionSpaceSpec& spec) {
  py::dict out;
  out["kind"] = to_string(spec.kind);
  if (spec.kind == ActionSpaceKind::Discrete) {
    out["num_actions"] = spec.num_actions;
  } else if (spec.kind == ActionSpaceKind::Hybrid) {
    py::list skills;
    for (const auto& skill : spec.skills) {
      py::dict entry;
      entry["name"] = skill.name;
      entry["parameters"] = skill.parameters.empty() ? py::object(py::none()) : to_dict(skill.parameters[0]);
      skills.append(entry);
    }
    out["skills"] = skills;
  } else {
    out["lower"] = spec.lower;
    out["upper"] = spec.upper;
  }
  return out;
}

std::shared_ptr<ActionSpace> make_space(const ActionSpaceSpec& spec) {
  return std::const_pointer_cast<ActionSpace>(std::shared_ptr<const ActionSpace>(ActionSpace::make(spec)));
}

std::shared_ptr<ActionSpace> make_space(const py::dict& values) { return make_space(from_dict(values)); }

void bind_action_space(py::module_& m) {
  bind_normalizer(m);
  bind_base(m);
  bind_bounded(m);
  bind_end_effector_spaces(m);
  bind_discrete_spaces(m);
  bind_rotations(m);
}

}  // namespace vla_rt::bindings
