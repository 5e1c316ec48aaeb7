#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings/action_spaces.hpp"
#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/observations.hpp"
#include "bindings/python_guidance.hpp"
#include "bindings/seeds.hpp"
#include "vla_rt/action_space/action_space.hpp"
#include "vla_rt/action_space/normalizer.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/package/policy.hpp"
#include "vla_rt/package/policy_spec.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

py::dict dict_of(const std::string& json) {
  return py::dict(py::module_::import("json").attr("loads")(json));
}

py::list observation_of(const PolicySpec& spec) {
  py::list features;
  for (const FeatureSpec& feature : spec.observation)
    features.append(py::make_tuple(feature.tensor.name, py::tuple(py::cast(feature.tensor.shape)),
                                   to_string(feature.tensor.dtype)));
  return features;
}

Array<float> noise_of(const py::object& value, const std::string& name, std::vector<py::ssize_t> shape) {
  if (value.is_none()) return {};
  const Array<float> noise = row_major<float>(py::reinterpret_borrow<ArrayLike>(value), name);
  if (!std::equal(shape.begin(), shape.end(), noise.shape(), noise.shape() + noise.ndim()))
    throw ConfigError(name, "shape " + shape_text(noise),
                      "must have shape " + shape_text(Array<float>(shape)));
  require_finite(noise, name);
  return noise;
}

Array<double> sample(Policy& policy, const py::dict& values, const py::object& seed, const py::object& noise,
                     const py::object& step_noise, const py::object& guidance) {
  const PolicySpec& spec = policy.spec();
  // Kept from call to call: a fresh chunk is 130 kB to clear, which the network would have in its cache.
  thread_local Observation observation;
  thread_local const auto chunk = std::make_unique<ActionChunk>();
  for (const FeatureSpec& feature : spec.observation) {
    const py::str name(feature.tensor.name);
    if (!values.contains(name))
      throw ConfigError(feature.tensor.name, "", "the observation has no such feature");
    set_feature(observation, feature.tensor.name, values[name]);
  }
  const auto rows = static_cast<py::ssize_t>(spec.horizon),
             columns = static_cast<py::ssize_t>(spec.network_dim());
  const Array<float> initial = noise_of(noise, "noise", {rows, columns});
  const auto sampler = step_noise.is_none() ? nullptr : make_sampler(spec.sampler);
  const auto steps = static_cast<py::ssize_t>(sampler ? sampler->timesteps().size() : 0);
  const Array<float> added = noise_of(step_noise, "step_noise", {steps, rows, columns});
  const NoiseSource source(seed_of(seed, "seed"));
  const PythonGuidance* guide = guidance_or_null(guidance);
  Continuation continuation;
  if (guide) {
    guide->require_action_dim(spec.action_dim);
    if (guide->batched())
      throw ConfigError("guidance.previous", "shape " + shape_text(guide->previous), "must be (L, D)");
    continuation = {guide->prefix(), guide->options};
  }
  {
    const py::gil_scoped_release release;
    policy.sample(observation, source, *chunk, elements(initial), elements(added),
                  guide ? &continuation : nullptr);
  }
  Array<double> actions(
      {static_cast<py::ssize_t>(spec.chunk_rows()), static_cast<py::ssize_t>(spec.action_dim)});
  std::copy_n(chunk->values.begin(), actions.size(), actions.mutable_data());
  return actions;
}

/// Nearest-rank quantile of sorted durations, in microseconds.
double quantile_us(const std::vector<TimeNs>& sorted, double q) {
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(sorted.size())));
  return static_cast<double>(sorted[std::max<std::size_t>(rank, 1) - 1]) * 1e-3;
}

py::dict benchmark_policy(Policy& policy, int n) {
  if (n < 1 || n > 10'000'000) throw ConfigError("n", std::to_string(n), "must be in 1..10000000");
  Observation observation;
  for (const FeatureSpec& feature : policy.spec().observation) {
    const std::vector<std::byte> zeros(static_cast<std::size_t>(feature.tensor.num_elements()) *
                                       size_of(feature.tensor.dtype));
    observation.set(feature.tensor.name, feature.tensor.dtype, feature.tensor.shape, zeros.data());
  }
  const auto chunk = std::make_unique<ActionChunk>();
  std::vector<TimeNs> durations(static_cast<std::size_t>(n));
  {
    const py::gil_scoped_release release;
    for (std::size_t i = 0; i < durations.size(); ++i) {
      const TimeNs start = steady_now();
      policy.sample(observation, NoiseSource(0, i), *chunk);
      durations[i] = steady_now() - start;
    }
    std::ranges::sort(durations);
  }
  py::dict result;
  result["backend"] = policy.backend();
  result["n"] = n;
  result["p50_us"] = quantile_us(durations, 0.5);
  result["p99_us"] = quantile_us(durations, 0.99);
  result["p999_us"] = quantile_us(durations, 0.999);
  result["max_us"] = quantile_us(durations, 1.0);
  return result;
}

void bind_spec(py::module_& m) {
  py::class_<PolicySpec>(m, "PolicySpec", "What a policy package says about itself; read-only.")
      .def_readonly("kind", &PolicySpec::kind, "Family of the policy.")
      .def_readonly("horizon", &PolicySpec::horizon, "T, rows that the network answers.")
      .def_readonly("action_dim", &PolicySpec::action_dim, "D, values of a row.")
      .def_property_readonly(
          "generated_dim", &PolicySpec::network_dim,
          "Values of a row of the network and its noise, the first D of which are the action.")
      .def_readonly("execution_horizon", &PolicySpec::execution_horizon,
                    "Rows to execute before the next chunk is due.")
      .def_readonly(
          "n_obs_steps", &PolicySpec::n_obs_steps,
          "Observations it sees, one per row period; with more than one, the first axis of every feature.")
      .def_readonly("first_row", &PolicySpec::first_row,
                    "Rows of the past at the front of the T, left out of a chunk.")
      .def_readonly("period_s", &PolicySpec::period_s, "Time between two rows [s].")
      .def_readonly("precision", &PolicySpec::precision)
      .def_readonly("device", &PolicySpec::device, "Where the network runs: cpu, cuda, cuda:1.")
      .def_readonly("backends", &PolicySpec::backends, "Backends that the package has a network for.")
      .def_property_readonly(
          "files",
          [](const PolicySpec& s) {
            py::dict bytes;
            for (const auto& [name, file] : s.files) bytes[py::str(name)] = file.bytes;
            return bytes;
          },
          "Sizes in bytes of the files beside policy.json, a dict by name.")
      .def_readonly("checks", &PolicySpec::checks, "What was verified at export.")
      .def_property_readonly("observation", &observation_of,
                             "Inputs: (name, shape, dtype) in the network's order.")
      .def_property_readonly(
          "sampler", [](const PolicySpec& s) { return py::object(dict_of(to_json(s))["sampler"]); },
          "Type and options of the sampler, a dict.")
      .def_property_readonly(
          "action_space", [](const PolicySpec& s) { return py::object(dict_of(to_json(s))["action_space"]); },
          "What the D numbers mean, a dict with `type`, or None where that was not said.")
      .def_property_readonly(
          "tokenizer",
          [](const PolicySpec& s) -> py::object {
            if (!s.tokenizer) return py::none();
            return dict_of(to_json(*s.tokenizer));
          },
          "The tokenizer of a token policy, a dict with `type`, or None.")
      .def_property_readonly(
          "step_shapes",
          [](const PolicySpec& s) {
            const ModelSignature signature = signature_of(s);
            return py::make_tuple(py::tuple(py::cast(signature.input_shape())),
                                  py::tuple(py::cast(signature.output_shape())));
          },
          "Shapes of what the network's `step` takes and answers, without the batch dimension.")
      .def(
          "to_dict", [](const PolicySpec& s) { return dict_of(to_json(s)); },
          "The contents of policy.json as plain Python values.")
      .def(
          "__eq__", [](const PolicySpec& a, const PolicySpec& b) { return a == b; }, py::is_operator())
      .def("__repr__", [](const PolicySpec& s) {
        return "PolicySpec(kind='" + s.kind + "', horizon=" + std::to_string(s.horizon) +
               ", action_dim=" + std::to_string(s.action_dim) + ")";
      });
  m.def("parse_policy_spec", &parse_policy_spec, py::arg("text"), py::call_guard<py::gil_scoped_release>(),
        "Reads the text of a policy.json. Raises FormatError naming the field as a JSON pointer.");
  m.def(
      "read_policy_spec", [](const std::filesystem::path& folder) { return read_policy_spec(folder); },
      py::arg("folder"), py::call_guard<py::gil_scoped_release>(),
      "Reads and checks a package without opening its network. Raises FormatError.");
  m.def(
      "normalizer_dict", [](const Normalizer& n) { return dict_of(to_json(n.spec())); },
      py::arg("normalizer"), "A normaliser as policy.json holds it.");
  m.def(
      "action_space_dict", [](const ActionSpace& s) { return dict_of(to_json(s.spec())); }, py::arg("space"),
      "An action space as policy.json holds it.");
}

}  // namespace

void bind_package(py::module_& m) {
  bind_spec(m);
  py::class_<Policy, std::shared_ptr<Policy>>(
      m, "Policy",
      "A policy package ready to act: raw observation in, raw actions out. Open with `load_policy`.")
      .def_static(
          "load",
          [](const std::filesystem::path& folder, const std::string& backend, int threads) {
            const py::gil_scoped_release release;
            return std::shared_ptr<Policy>(Policy::load(folder, backend, threads));
          },
          py::arg("folder"), py::arg("backend") = "", py::arg("threads") = 1)
      .def("sample", &sample, py::arg("observation"), py::arg("seed") = 0, py::arg("noise") = py::none(),
           py::arg("step_noise") = py::none(), py::arg("guidance") = py::none(),
           "Samples one chunk. The GIL is released; calls from several threads take turns.\n\n"
           "Args:\n"
           "    observation: raw values by feature name, each of the shape in `spec.observation`, no batch\n"
           "        dimension; an image also as uint8 (H, W, C). With `spec.n_obs_steps` > 1 the first axis "
           "of every\n"
           "        feature is time, oldest first. Other keys are ignored.\n"
           "    seed: of the noise; equal seeds give equal bits.\n"
           "    noise: (T, spec.generated_dim) initial noise in normalised units, replaces the seed's.\n"
           "    step_noise: (K, T, spec.generated_dim), what a stochastic sampler adds; the others check and "
           "do not use it.\n"
           "    guidance: a `vla_rt.rtc.Guidance` whose `previous` is raw (L, D): the chunk to continue.\n\n"
           "Returns:\n"
           "    (T - spec.first_row, D) float64, raw actions; row 0 is the action for now.\n\n"
           "Raises:\n"
           "    ConfigError: a missing feature, a wrong shape, NaN or infinity; names feature and index.\n"
           "    ModelError: the network failed or answered NaN.")
      .def("benchmark", &benchmark_policy, py::arg("n") = 100,
           "Samples n chunks for an observation of zeros and returns {backend, n, p50_us, p99_us, p999_us, "
           "max_us}.")
      .def_property_readonly("spec", &Policy::spec, "What the package says about itself.")
      .def_property_readonly("backend", &Policy::backend, "The backend in use.")
      .def_property_readonly(
          "action_space",
          [](const Policy& p) {
            const std::optional<ActionSpaceSpec>& space = p.spec().action_space;
            return space ? make_space(*space) : nullptr;
          },
          "What the D numbers of an action mean, or None where that was not said.")
      .def("__repr__", [](const Policy& p) {
        return "Policy(kind='" + p.spec().kind + "', backend='" + p.backend() +
               "', horizon=" + std::to_string(p.spec().horizon) +
               ", action_dim=" + std::to_string(p.spec().action_dim) + ")";
      });
}

}  // namespace vla_rt::bindings
