#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/action_space/continuous_action_space.hpp"
#include "vla_rt/action_space/discrete_action_space.hpp"
#include "vla_rt/action_space/end_effector_space.hpp"
#include "vla_rt/action_space/hybrid_action_space.hpp"
#include "vla_rt/action_space/joint_space.hpp"
#include "vla_rt/action_space/rotation.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

template <typename T, typename... Base>
using Class = py::class_<T, Base..., std::shared_ptr<T>>;

constexpr const char* kNormalizeDoc =
    "Raw (..., D) to [-1, 1], (..., D) float64. Nothing is clipped.\n\n"
    "Raises ConfigError naming the element for NaN or infinity, or the shape for another D.";
constexpr const char* kDenormalizeDoc =
    "[-1, 1] (..., D) to raw (..., D) float64. Nothing is clipped.\n\n"
    "Raises ConfigError naming the element for NaN or infinity, or the shape for another D.";

Array<double> checked(const ArrayLike& values, const std::string& name, int dimension) {
  Array<double> in = row_major<double>(values, name);
  require_last(in, name, {dimension});
  require_finite(in, name);
  return in;
}

template <typename Map>
Array<double> mapped(const Array<double>& in, const Map& map) {
  Array<double> out = empty_like<double>(in);
  const auto from = elements(in);
  const auto to = mutable_elements(out);
  without_gil(in.size(), [&] { map(from, to); });
  return out;
}

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

std::shared_ptr<ActionSpace> make_space(const ActionSpaceSpec& spec) {
  return std::const_pointer_cast<ActionSpace>(std::shared_ptr<const ActionSpace>(ActionSpace::make(spec)));
}

template <typename T>
auto picklable() {
  return py::pickle([](const T& s) { return to_dict(s.spec()); },
                    [](const py::dict& d) { return std::dynamic_pointer_cast<T>(make_space(from_dict(d))); });
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
          "from_dict", [](const py::dict& d) { return make_space(from_dict(d)); }, py::arg("values"),
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

void bind_end_effector(py::module_& m) {
  Class<EndEffectorPoseSpace, BoundedActionSpace>(
      m, "EndEffectorPoseSpace",
      "Pose of the tool: position x, y, z [m] and quaternion x, y, z, w; D = 7. "
      "With the gripper, 0 open .. 1 closed, D = 8.")
      .def(picklable<EndEffectorPoseSpace>())
      .def(py::init([](const ArrayLike& lower, const ArrayLike& upper) {
             return std::make_shared<EndEffectorPoseSpace>(vector_of<double>(lower, "lower"),
                                                           vector_of<double>(upper, "upper"));
           }),
           py::arg("lower"), py::arg("upper"),
           "Bounds of the position (3,), the quaternion's being +-1 then, of all seven numbers (7,), or of "
           "those "
           "and the gripper (8,).")
      .def(
          "to_transform",
          [](const EndEffectorPoseSpace& s, const ArrayLike& a) {
            const Array<double> in = checked(a, "actions", s.dimension());
            Array<double> out = with_last<double>(in, 1, {4, 4});
            s.to_transform(elements(in), mutable_elements(out));
            return out;
          },
          py::arg("a"),
          "Poses (..., D) to transforms (..., 4, 4); the quaternion is normalised, 0 is a ConfigError.");
  Class<EndEffectorDeltaSpace, BoundedActionSpace>(m, "EndEffectorDeltaSpace",
                                                   "Small motion of the tool: dx, dy, dz [m], droll, dpitch, "
                                                   "dyaw [rad], gripper 0 open .. 1 closed; D = 7.")
      .def(picklable<EndEffectorDeltaSpace>())
      .def(py::init<double, double>(), py::arg("max_translation") = 0.05, py::arg("max_rotation") = 0.1,
           "Bounds per axis [m] and [rad], > 0. Raises ConfigError.")
      .def_property_readonly("max_translation", &EndEffectorDeltaSpace::max_translation, "[m]")
      .def_property_readonly("max_rotation", &EndEffectorDeltaSpace::max_rotation, "[rad]")
      .def(
          "to_transform",
          [](const EndEffectorDeltaSpace& s, const ArrayLike& a) {
            const Array<double> in = row_major<double>(a, "actions");
            const int width = in.ndim() > 0 && in.shape(in.ndim() - 1) == 6 ? 6 : 7;
            require_last(in, "actions", {width});
            require_finite(in, "actions");
            Array<double> out = with_last<double>(in, 1, {4, 4});
            s.to_transform(elements(in), mutable_elements(out), width);
            return out;
          },
          py::arg("a"),
          "Raw actions (..., 7), or (..., 6) without gripper, to transforms (..., 4, 4). The angles turn "
          "about the\n"
          "fixed axes x, y, z (scipy's lower-case 'xyz'). Nothing is clipped.");
}

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
  without_gil(in.size(), [&] {
    if (soft) {
      s.sample_logits(elements(in), seed, to);
    } else {
      s.sample(elements(in), seed, to);
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
            std::fill(to.begin(), to.end(), 0.0);
            const auto dim = static_cast<std::size_t>(s.dimension()), n = static_cast<std::size_t>(width);
            for (std::size_t r = 0; r * dim < to.size(); ++r) {
              to[r * dim] = index;
              for (std::size_t i = 0; i < n; ++i) to[r * dim + 1 + i] = from[r * n + i];
            }
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

void bind_action_space(py::module_& m) {
  bind_normalizer(m);
  bind_base(m);
  bind_bounded(m);
  bind_end_effector(m);
  bind_discrete(m);
  bind_hybrid(m);
  bind_rotations(m);
}

}  // namespace vla_rt::bindings
