#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/execution_dicts.hpp"
#include "bindings/executor_config.hpp"
#include "bindings/times.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/chunk_executor.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

py::object seconds_or_none(TimeNs time) {
  if (time == ChunkExecutor::kNever) return py::none();
  return py::float_(to_seconds(time));
}

/// The executor and the chunk it is pushed with.
class PythonChunkExecutor {
 public:
  explicit PythonChunkExecutor(const ChunkExecutorConfig& config)
      : executor_(config), chunk_(std::make_unique<ActionChunk>()) {}

  ChunkExecutor& executor() noexcept { return executor_; }

  std::string push(const ArrayLike& rows, double start_time_s) {
    const Array<double> in = row_major<double>(rows, "chunk");
    require_shape(in, "chunk", {-1, executor_.config().action_dim});
    const TimeNs start = time_from(start_time_s, "start_time_s");
    const int horizon = static_cast<int>(std::min<py::ssize_t>(in.shape(0), kMaxHorizon + 1));
    const std::span<const double> values = elements(in);
    const py::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    chunk_->resize(horizon, executor_.config().action_dim);
    chunk_->start_time_ns = start;
    chunk_->period_ns = from_seconds(executor_.config().period_s);
    chunk_->sequence += 1;
    std::copy(values.begin(), values.end(), chunk_->values.begin());
    return to_string(executor_.push(*chunk_));
  }

  py::tuple at(double time_s) {
    const py::ssize_t D = executor_.config().action_dim;
    const TimeNs time = time_from(time_s, "time_s");
    Array<double> position(D), velocity(D);
    const Status status = executor_.at(time, mutable_elements(position), mutable_elements(velocity));
    return py::make_tuple(std::move(position), std::move(velocity), status);
  }

  void reset(const std::optional<ArrayLike>& position) {
    if (!position) return executor_.reset();
    const Array<double> in = row_major<double>(*position, "position");
    require_shape(in, "position", {executor_.config().action_dim});
    executor_.reset(elements(in));
  }

  [[nodiscard]] py::tuple previous_rows(double start_time_s, int rows) const {
    if (rows < 0 || rows > kMaxHorizon)
      throw ConfigError("rows", std::to_string(rows), "must be in 0.." + std::to_string(kMaxHorizon));
    Array<double> out(
        {static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(executor_.config().action_dim)});
    const int within =
        executor_.previous_rows(time_from(start_time_s, "start_time_s"), rows, mutable_elements(out));
    return py::make_tuple(std::move(out), within);
  }

  [[nodiscard]] py::list seams() const {
    py::list list;
    const auto D = static_cast<std::size_t>(executor_.config().action_dim);
    for (const Seam& seam : executor_.seams()) {
      py::dict entry;
      entry["time_s"] = to_seconds(seam.time_ns);
      entry["position"] = array_of<double>({seam.position.data(), D});
      entry["velocity"] = array_of<double>({seam.velocity.data(), D});
      entry["acceleration"] = array_of<double>({seam.acceleration.data(), D});
      list.append(std::move(entry));
    }
    return list;
  }

  [[nodiscard]] py::dict counters() const { return to_dict(executor_.counters()); }

  /// Plays chunks (n, T, D), one every `ticks` ticks, and times each call.
  py::dict benchmark(const ArrayLike& chunks, int ticks, double tick_s, std::uintptr_t counter) {
    const Array<double> in = row_major<double>(chunks, "chunks");
    const int D = executor_.config().action_dim;
    require_shape(in, "chunks", {-1, -1, D});
    if (ticks < 1 || in.shape(0) * ticks > 100'000'000)
      throw ConfigError("ticks", std::to_string(ticks), "must be >= 1, and at most 1e8 in all");
    const TimeNs tick = time_from(tick_s, "tick_s");
    const auto allocations =
        reinterpret_cast<std::uint64_t (*)()>(counter);  // NOLINT(performance-no-int-to-ptr): from ctypes
    const auto n = static_cast<std::size_t>(in.shape(0)), T = static_cast<std::size_t>(in.shape(1));
    const std::size_t size = T * static_cast<std::size_t>(D), per_chunk = static_cast<std::size_t>(ticks);
    Array<std::int64_t> at_ns(in.shape(0) * ticks), push_ns(in.shape(0));
    Array<double> position({in.shape(0) * ticks, static_cast<py::ssize_t>(D)});
    const auto values = elements(in);
    const auto spent_at = mutable_elements(at_ns), spent_push = mutable_elements(push_ns);
    const auto q = mutable_elements(position);
    std::uint64_t allocated = 0;
    {
      const py::gil_scoped_release release;
      JointArray velocity{};
      for (std::size_t k = 0; k < n; ++k) {
        chunk_->resize(static_cast<int>(T), D);
        chunk_->start_time_ns = static_cast<TimeNs>(k * per_chunk) * tick;
        chunk_->period_ns = from_seconds(executor_.config().period_s);
        const auto rows = values.subspan(k * size, size);
        std::copy(rows.begin(), rows.end(), chunk_->values.begin());
        const std::uint64_t before = allocations != nullptr ? allocations() : 0;
        const TimeNs begin = steady_now();
        executor_.push(*chunk_);
        spent_push[k] = steady_now() - begin;
        for (std::size_t i = k * per_chunk; i < (k + 1) * per_chunk; ++i) {
          const TimeNs from = steady_now();
          executor_.at(static_cast<TimeNs>(i) * tick,
                       q.subspan(i * static_cast<std::size_t>(D), static_cast<std::size_t>(D)), velocity);
          spent_at[i] = steady_now() - from;
        }
        if (allocations != nullptr) allocated += allocations() - before;
      }
    }
    py::dict found;
    found["at_ns"] = std::move(at_ns);
    found["push_ns"] = std::move(push_ns);
    found["position"] = std::move(position);
    found["allocations"] = allocations != nullptr ? py::object(py::int_(allocated)) : py::none();
    return found;
  }

  [[nodiscard]] py::object remaining_s() const {
    if (executor_.plan_end() == ChunkExecutor::kNever) return py::float_(0.0);
    if (executor_.now() == ChunkExecutor::kNever) return py::none();
    return py::float_(to_seconds(std::max<TimeNs>(0, executor_.plan_end() - executor_.now())));
  }

 private:
  ChunkExecutor executor_;
  std::mutex mutex_;  // pushes of several Python threads share the chunk
  std::unique_ptr<ActionChunk> chunk_;
};

}  // namespace

void bind_chunk_executor(py::module_& m) {
  py::class_<PythonChunkExecutor>(m, "ChunkExecutor",
                                  R"(Late, jittery, contradictory chunks in; one continuous motion out.

`now` is the latest time given to `at`. A pushed chunk takes over at s = max(now, its start); before s the old plan
stands, from s + blend_s on the motion is exactly the new chunk's. Position, velocity and acceleration are continuous
across chunks when `interpolation` is "cubic" or "quintic" and `blend_s` > 0; the other settings promise the row values
and report their seams.

One thread calls `at`; `push` may be called from others. Everything is computed in `push`; `at` only evaluates.

Args:
    action_dim: D, 1..64.
    period_s: time between the rows of a chunk [s].
    mode: "receding": takes over when `execution_horizon` rows of the old chunk are done; "ensemble": at once, rows
        averaged over all chunks with ACT's weights; "async": at once, rows merged as `merge` says; "rtc": at once and
        without a blend, because the chunk already continues the old one.
    execution_horizon: rows executed before the next chunk is due; None: all T.
    blend_s: how long a splice is blended [s]; 0: not at all.
    interpolation: "linear", "cubic" (not-a-knot spline through the rows) or "quintic" (velocity and acceleration
        estimated at the rows).
    merge: "crossfade" (the old plan fades out over blend_s), "replace" (the new rows at once; the jump decays over
        blend_s) or "average" (the weighted mean of old plan and new row wherever both exist).
    merge_weights: of old and new, for "average".
    discrete_dims: dims that hold the current row and are never blended or averaged.
    on_starvation: "hold" the last row at velocity 0, or "decelerate" from the last velocity within `limits`.
    limits: JointLimits of the dims that are not discrete; needed for "decelerate".
    temporal_ensemble_coeff: m of the weights exp(-m i), i = 0 the oldest chunk.
    rotation_dims: pairs (first dim, format) of dims that are one rotation: "quaternion" (x, y, z, w),
        "rotation_vector" or "rotation_6d". They move, blend and average as rotations, on the short way.

Raises:
    ConfigError: a value is out of its range.)")
      .def(py::init([](int action_dim, double period_s, const std::string& mode,
                       std::optional<int> execution_horizon, double blend_s, const std::string& interpolation,
                       const std::string& merge, const ArrayLike& merge_weights,
                       const ArrayLike& discrete_dims, const std::string& on_starvation,
                       const std::optional<JointLimits>& limits, double temporal_ensemble_coeff,
                       const py::object& rotation_dims) {
             return std::make_unique<PythonChunkExecutor>(chunk_executor_config(
                 action_dim, period_s, mode, execution_horizon, blend_s, interpolation, merge, merge_weights,
                 discrete_dims, on_starvation, limits, temporal_ensemble_coeff, rotation_dims));
           }),
           py::arg("action_dim"), py::arg("period_s"), py::arg("mode") = "receding",
           py::arg("execution_horizon") = py::none(), py::arg("blend_s") = 0.1,
           py::arg("interpolation") = "cubic", py::arg("merge") = "crossfade",
           py::arg("merge_weights") = py::make_tuple(0.3, 0.7), py::arg("discrete_dims") = py::tuple(),
           py::arg("on_starvation") = "hold", py::arg("limits") = py::none(),
           py::arg("temporal_ensemble_coeff") = 0.01, py::arg("rotation_dims") = py::tuple())
      .def("push", &PythonChunkExecutor::push, py::arg("chunk"), py::arg("start_time_s"),
           R"(Plans with a chunk (T, D) whose row 0 is for `start_time_s`.

Returns "accepted"; "past" when all its rows lie before the time it would take over; "far_future" when it starts more
than 10 s after now; "queue_full" when too many chunks wait. The last three change nothing but a counter.

Raises:
    ConfigError: wrong shape, or a number that is not finite; nothing changes.)")
      .def("at", &PythonChunkExecutor::at, py::arg("time_s"),
           R"(Position (D,), velocity (D,) and Status at a time [s].

A time before the latest one is answered for the latest one, and counted. Status.Starved while no chunk covers it;
before any chunk the position is the one given to `reset`, or zeros.)")
      .def("reset", &PythonChunkExecutor::reset, py::arg("position") = py::none(),
           "Forgets plan, time, seams and counters; the first chunk then blends from `position` (D,), if "
           "given.")
      .def("previous_rows", &PythonChunkExecutor::previous_rows, py::arg("start_time_s"), py::arg("rows"),
           R"(The plan sampled for a new chunk that starts at `start_time_s`: what it has to continue (RTC).

Returns:
    (rows, D) array, the last row held beyond the plan's end, and how many of its rows lie within the plan.)")
      .def_property_readonly(
          "seams", &PythonChunkExecutor::seams,
          "The latest splices, oldest first: dicts of time_s and the jumps |old - new| of position, "
          "velocity and acceleration (D,) before the blend. The first chunk makes none.")
      .def_property_readonly(
          "counters", &PythonChunkExecutor::counters,
          "Counts since the last reset: accepted, dropped, refused and superseded chunks, dropped "
          "rows, splices, queries, late and starved ones, starved_s, overtaken splices.")
      .def_property_readonly(
          "remaining_s", &PythonChunkExecutor::remaining_s,
          "How much longer the plan reaches [s]; 0 without one, None before the first `at`.")
      .def_property_readonly(
          "due_time_s", [](PythonChunkExecutor& self) { return seconds_or_none(self.executor().due()); },
          "When the next chunk is due: start of the newest one + execution_horizon rows; None before the "
          "first.");

  m.def(
      "benchmark_chunk_executor",
      [](PythonChunkExecutor& executor, const ArrayLike& chunks, int ticks, double tick_s,
         std::uintptr_t counter) { return executor.benchmark(chunks, ticks, tick_s, counter); },
      py::arg("executor"), py::arg("chunks"), py::arg("ticks"), py::arg("tick_s"), py::arg("counter") = 0,
      R"(Plays chunks (n, T, D) from time 0, one every `ticks` ticks of `tick_s`, in C++, and times every call.

`counter` is the address of a C function that returns the allocations so far, or 0.

Returns:
    dict of at_ns (n * ticks,), push_ns (n,), position (n * ticks, D) and allocations (None without a counter).)");
}

}  // namespace vla_rt::bindings
