#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/python_threads.hpp"
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
  PythonChunkSource(py::object policy, double period_s)
      : policy_(std::move(policy)), to_array_(py::module_::import("numpy").attr("asarray")) {
    if (!PyCallable_Check(policy_.ptr())) throw ConfigError("policy", "", "must be callable");
    if (!(period_s > 0 && period_s <= 60))
      throw ConfigError("chunk_period_s", number(period_s), "must be in (0, 60] s");
    period_ns_ = from_seconds(period_s);
  }
  ~PythonChunkSource() override {
    drop_reference(std::move(policy_));
    drop_reference(std::move(to_array_));
  }

  void infer(const Observation& observation, ActionChunk& chunk) override {
    const WorkerGil gil;
    try {
      const py::dict given = to_dict(observation);
      const py::object answer = call_in_worker(to_array_, call_in_worker(policy_, given));
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

  [[nodiscard]] double period_s() const { return to_seconds(period_ns_); }

 private:
  py::object policy_, to_array_;
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

Raises:
    ConfigError: `policy` is not callable, or the period is outside its bounds.)")
      .def(py::init<py::object, double>(), py::arg("policy"), py::arg("period_s"))
      .def_property_readonly("period_s", &PythonChunkSource::period_s, "Time between rows [s].");
  py::class_<PolicySource, ChunkSource>(m, "PolicySource", R"(A policy package as the source of chunks.

Args:
    policy: From `load_policy`.
    seed: Of the noise; chunk i is sampled with that of (seed, i).

Raises:
    ConfigError: The policy looks back on more than one observation.)")
      .def(py::init<std::shared_ptr<Policy>, std::uint64_t>(), py::arg("policy"), py::arg("seed") = 0);
}

}  // namespace vla_rt::bindings
