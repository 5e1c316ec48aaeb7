#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/python_guidance.hpp"
#include "bindings/python_threads.hpp"
#include "vla_rt/execution/anchored_source.hpp"
#include "vla_rt/execution/chunk_source.hpp"
#include "vla_rt/execution/policy_source.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

py::dtype dtype_of(DType dtype) {
  switch (dtype) {
    case DType::Float32:
      return py::dtype::of<float>();
    case DType::Int64:
      return py::dtype::of<std::int64_t>();
    case DType::UInt8:
      return py::dtype::of<std::uint8_t>();
  }
  throw ModelError("an observation feature has an unknown dtype");
}

// Copies, so that the policy may keep what it was given.
py::dict to_dict(const Observation& observation) {
  py::dict result;
  for (const std::string& name : observation.names()) {
    const TensorView value = observation.at(name);
    result[py::str(name)] = py::array(
        dtype_of(value.dtype), std::vector<py::ssize_t>(value.shape.begin(), value.shape.end()), value.data);
  }
  return result;
}

std::string describe(const py::error_already_set& error) {
  const auto type = py::str(error.type().attr("__name__")).cast<std::string>();
  std::string text;
  try {
    text = py::str(error.value()).cast<std::string>();
  } catch (const py::error_already_set&) {
    text = "(its text cannot be had)";
  }
  return text.empty() ? type : type + ": " + text;
}

// A Python callable as a policy.
class PythonChunkSource final : public ChunkSource {
 public:
  PythonChunkSource(py::object policy, double period_s, const std::optional<GuidanceOptions>& guidance,
                    int n_obs_steps)
      : policy_(std::move(policy)),
        to_array_(py::module_::import("numpy").attr("asarray")),
        guidance_(guidance),
        n_obs_steps_(n_obs_steps) {
    if (!PyCallable_Check(policy_.ptr())) throw ConfigError("policy", "", "must be callable");
    if (!(period_s > 0 && period_s <= 60))
      throw ConfigError("chunk_period_s", number(period_s), "must be in (0, 60] s");
    if (n_obs_steps < 1 || n_obs_steps > PolicySpec::kMaxObsSteps)
      throw ConfigError("n_obs_steps", std::to_string(n_obs_steps),
                        "must be in 1.." + std::to_string(PolicySpec::kMaxObsSteps));
    period_ns_ = from_seconds(period_s);
  }
  ~PythonChunkSource() override {
    drop_reference(std::move(policy_));
    drop_reference(std::move(to_array_));
  }

  [[nodiscard]] ObservationWindow window() const noexcept override { return {n_obs_steps_, period_ns_}; }
  void infer(const Observation& observation, ActionChunk& chunk) override {
    call(observation, nullptr, chunk);
  }
  void infer_continuing(const Observation& observation, const ChunkPrefix& previous,
                        ActionChunk& chunk) override {
    call(observation, guidance_ ? &previous : nullptr, chunk);
  }

  [[nodiscard]] double period_s() const { return to_seconds(period_ns_); }

 private:
  void call(const Observation& observation, const ChunkPrefix* previous, ActionChunk& chunk) {
    const WorkerGil gil;
    try {
      const py::dict given = to_dict(observation);
      py::object guidance;
      if (previous) guidance = py::cast(guidance_object(*previous));
      const py::object answer = call_in_worker(to_array_, call_in_worker(policy_, given, guidance));
      const Array<double> rows = row_major<double>(py::reinterpret_borrow<ArrayLike>(answer), "chunk");
      require_shape(rows, "chunk", {-1, -1});
      if (rows.shape(0) > kMaxHorizon || rows.shape(1) > kMaxActionDim)
        throw ConfigError(
            "chunk", "shape " + shape_text(rows),
            "must be at most (" + std::to_string(kMaxHorizon) + ", " + std::to_string(kMaxActionDim) + ")");
      chunk.resize(static_cast<int>(rows.shape(0)), static_cast<int>(rows.shape(1)));
      chunk.period_ns = period_ns_;
      std::ranges::copy(elements(rows), chunk.values.begin());
    } catch (const py::error_already_set& error) {
      throw ModelError("the policy raised " + describe(error));
    }
  }

  [[nodiscard]] PythonGuidance guidance_object(const ChunkPrefix& previous) const {
    const py::ssize_t rows = previous.rows;
    const auto columns = static_cast<py::ssize_t>(previous.values.size()) / rows;
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): only a source with guidance is asked
    return {Array<double>({rows, columns}, previous.values.data()), previous.delay, previous.end, *guidance_};
  }

  py::object policy_, to_array_;
  std::optional<GuidanceOptions> guidance_;
  int n_obs_steps_;
  TimeNs period_ns_ = 0;
};

}  // namespace

void bind_chunk_source(py::module_& m) {
  watch_for_exit();
  const py::class_<ChunkSource> base(m, "ChunkSource",
                                     "Whatever turns an observation into a chunk of actions.");
  py::class_<PythonChunkSource, ChunkSource>(m, "PythonChunkSource", R"(A Python callable as a policy.

It is called in the inference thread with a dict of arrays (copies: float32, int64 or uint8, by feature name) and returns
(T, D) actions, raw, T <= MAX_HORIZON, D <= MAX_ACTION_DIM. Whatever it raises is a counted failure with its text.

Args:
    policy: The callable.
    period_s: Time between the rows of its chunks [s], in (0, 60].
    n_obs_steps: With more than one, every array has time as its first axis, oldest first: one observation per period.
    guidance: Where given, `policy` takes a second argument in mode "rtc": a `vla_rt.rtc.Guidance` made with these
        options, the chunk to continue. It is left out while there is none.

Raises:
    ConfigError: `policy` is not callable, or the period or n_obs_steps is outside its bounds.)")
      .def(py::init<py::object, double, const std::optional<GuidanceOptions>&, int>(), py::arg("policy"),
           py::arg("period_s"), py::arg("guidance") = py::none(), py::arg("n_obs_steps") = 1)
      .def_property_readonly("period_s", &PythonChunkSource::period_s, "Time between rows [s].");
  py::class_<PolicySource, ChunkSource>(m, "PolicySource", R"(A policy package as the source of chunks.

Args:
    policy: From `load_policy`.
    seed: Of the noise; chunk i is sampled with that of (seed, i).
    guidance: How chunks continue the one before in mode "rtc"; None: as GuidanceOptions() says.
)")
      .def(py::init([](std::shared_ptr<Policy> policy, std::uint64_t seed,
                       const std::optional<GuidanceOptions>& guidance) {
             return std::make_unique<PolicySource>(std::move(policy), seed,
                                                   guidance.value_or(GuidanceOptions{}));
           }),
           py::arg("policy"), py::arg("seed") = 0, py::arg("guidance") = py::none());
  py::class_<AnchoredSource, ChunkSource>(m, "AnchoredSource",
                                          R"(A policy with relative actions, as absolute ones.

Adds the state that the policy saw to its rows, and subtracts it from the rows that its chunk shall continue.

Args:
    source: The policy.
    feature: Observation feature (float32) whose element d is the state of dim d.
    dims: The relative dims.

Raises:
    ConfigError: A dim is there twice or out of range.)")
      .def(py::init([](const py::object& source, const std::string& feature, const ArrayLike& dims) {
             std::vector<int> chosen;
             for (const std::int64_t d : vector_of<std::int64_t>(dims, "relative_dims"))
               chosen.push_back(static_cast<int>(std::clamp<std::int64_t>(d, -1, kMaxActionDim)));
             return std::make_unique<AnchoredSource>(share<ChunkSource>(source), feature, chosen);
           }),
           py::arg("source"), py::arg("feature"), py::arg("dims"));
}

}  // namespace vla_rt::bindings
