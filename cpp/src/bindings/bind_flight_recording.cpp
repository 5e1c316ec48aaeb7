#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/flight_follower.hpp"
#include "vla_rt/execution/flight_recording.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

constexpr const char* kSignals[kNumFlightSignals] = {
    "measured_position", "measured_velocity",   "target", "target_velocity", "command_position",
    "command_velocity",  "command_acceleration"};

// Columns of `rows` ticks of `n` joints, which `for_each(visit)` visits in order.
template <class ForEach>
py::dict columns(std::size_t num_rows, int num_joints, ForEach for_each) {
  const auto rows = static_cast<py::ssize_t>(num_rows), n = static_cast<py::ssize_t>(num_joints);
  Array<std::int64_t> tick(rows), time(rows), wakeup(rows), compute(rows), state(rows), chunk(rows);
  Array<std::uint8_t> status(rows), follows(rows);
  std::vector<Array<double>> signals;
  for (std::size_t k = 0; k < kNumFlightSignals; ++k) signals.emplace_back(std::vector<py::ssize_t>{rows, n});
  py::ssize_t row = 0;
  for_each([&](const FlightTick& record) {
    const FlightTick::Head& head = record.head;
    tick.mutable_at(row) = static_cast<std::int64_t>(head.tick);
    time.mutable_at(row) = head.time_ns;
    wakeup.mutable_at(row) = head.wakeup_ns;
    compute.mutable_at(row) = head.compute_ns;
    state.mutable_at(row) = head.state_ns;
    chunk.mutable_at(row) = static_cast<std::int64_t>(head.chunk_sequence);
    status.mutable_at(row) = static_cast<std::uint8_t>(head.status);
    follows.mutable_at(row) = static_cast<std::uint8_t>(head.follows_plan);
    for (std::size_t k = 0; k < kNumFlightSignals; ++k)
      std::ranges::copy(record.signal(static_cast<FlightSignal>(k)), signals[k].mutable_data(row, 0));
    ++row;
    return true;
  });
  py::dict result;
  result["tick"] = tick;
  result["time_ns"] = time;
  result["wakeup_ns"] = wakeup;
  result["compute_ns"] = compute;
  result["state_time_ns"] = state;
  result["chunk_sequence"] = chunk;
  result["status"] = status;
  result["follows_plan"] = follows;
  for (std::size_t k = 0; k < kNumFlightSignals; ++k) result[kSignals[k]] = signals[k];
  return result;
}

py::dict ticks(const FlightRecording& recording) {
  return columns(recording.num_ticks(), recording.setup().limits.num_joints,
                 [&](const auto& visit) { recording.for_each_tick(visit); });
}

py::dict chunk_dict(const FlightChunk& record) {
  const ActionChunk& chunk = record.chunk;
  Array<double> rows({chunk.horizon, chunk.action_dim});
  std::copy_n(chunk.values.begin(), rows.size(), rows.mutable_data());
  py::dict d;
  d["time_ns"] = record.time_ns;
  d["sequence"] = chunk.sequence;
  d["start_time_ns"] = chunk.start_time_ns;
  d["period_ns"] = chunk.period_ns;
  d["inference_ns"] = chunk.inference_ns;
  d["result"] = to_string(record.result);
  d["actions"] = rows;
  return d;
}

py::list chunks(const FlightRecording& recording) {
  py::list result;
  for (const auto& record : recording.chunks()) result.append(chunk_dict(*record));
  return result;
}

py::dict seam_dict(const FlightSeam& seam, std::int32_t dims) {
  const auto row = [&](const JointArray& values) {
    Array<double> array(dims);
    std::copy_n(values.begin(), dims, array.mutable_data());
    return array;
  };
  py::dict d;
  d["time_ns"] = seam.time_ns;
  d["sequence"] = seam.chunk_sequence;
  d["position"] = row(seam.seam.position);
  d["velocity"] = row(seam.seam.velocity);
  d["acceleration"] = row(seam.seam.acceleration);
  return d;
}

py::dict violation_dict(const FlightViolation& violation) {
  py::dict d;
  d["time_ns"] = violation.time_ns;
  d["joint"] = violation.wish.joint;
  d["cause"] = to_string(violation.wish.cause);
  d["wanted"] = violation.wish.wanted;
  d["given"] = violation.wish.given;
  return d;
}

py::dict picture_dict(const FlightPicture& picture) {
  Array<std::uint8_t> pixels({picture.height, picture.width, 3});
  std::ranges::copy(picture.pixels, pixels.mutable_data());
  py::dict d;
  d["time_ns"] = picture.time_ns;
  d["name"] = picture.name;
  d["pixels"] = pixels;
  return d;
}

template <class Records, class Convert>
py::list list_of(const Records& records, Convert convert) {
  py::list result;
  for (const auto& record : records) result.append(convert(record));
  return result;
}

const FlightSetup& setup_of(const FlightFollower& follower) {
  const FlightSetup* setup = follower.setup();
  if (setup == nullptr) throw ConfigError("recording", "", "is not there yet");
  return *setup;
}

py::object read(FlightFollower& follower, bool is_over) {
  FlightPart part;
  bool has_more = false;
  {
    const py::gil_scoped_release release;
    has_more = follower.read(part, is_over);
  }
  if (follower.setup() == nullptr) return py::none();
  const FlightSetup& setup = *follower.setup();
  py::dict d;
  d["ticks"] = columns(part.ticks.size(), setup.limits.num_joints, [&](const auto& visit) {
    for (const FlightTick& tick : part.ticks) visit(tick);
  });
  d["chunks"] = list_of(part.chunks, [](const FlightChunk* chunk) { return chunk_dict(*chunk); });
  d["pictures"] = list_of(part.pictures, [](const FlightPicture& picture) { return picture_dict(picture); });
  const std::int32_t dims = setup.executor.action_dim;
  d["seams"] = list_of(part.seams, [&](const FlightSeam& seam) { return seam_dict(seam, dims); });
  d["violations"] = list_of(part.violations, [](const FlightViolation& v) { return violation_dict(v); });
  d["has_more"] = has_more;
  return d;
}

py::dict replay(const FlightRecording& recording) {
  FlightReplay replayed;
  {
    const py::gil_scoped_release release;
    replayed = recording.replay();
  }
  py::list resumed;
  for (const std::uint64_t tick : replayed.resumed) resumed.append(tick);
  py::dict d;
  d["ticks"] = replayed.ticks;
  d["executor_ticks"] = replayed.executor_ticks;
  d["enforcer_ticks"] = replayed.enforcer_ticks;
  d["gaps"] = replayed.gaps;
  d["missing_ticks"] = replayed.missing_ticks;
  d["missing_chunks"] = replayed.missing_chunks;
  d["resumed_at"] = resumed;
  d["difference"] = py::none();
  if (replayed.difference) {
    py::dict difference;
    difference["tick"] = replayed.difference->tick;
    difference["time_ns"] = replayed.difference->time_ns;
    difference["signal"] = kSignals[static_cast<std::size_t>(replayed.difference->signal)];
    difference["joint"] = replayed.difference->joint;
    difference["recorded"] = replayed.difference->recorded;
    difference["replayed"] = replayed.difference->replayed;
    d["difference"] = difference;
  }
  return d;
}

}  // namespace

void bind_flight_recording(py::module_& m) {
  py::class_<FlightRecording>(
      m, "FlightRecording",
      R"(A recording that a run with `ControlConfig(record=...)` left, opened up to its last whole record.

Args:
    path: The file.

Raises:
    ConfigError: It cannot be read.
    FormatError: It is no recording; names the field.)")
      .def(py::init([](const std::filesystem::path& path) {
             return std::make_unique<FlightRecording>(path.string());
           }),
           py::arg("path"))
      .def_property_readonly("num_ticks", &FlightRecording::num_ticks, "Ticks in the file.")
      .def_property_readonly(
          "num_chunks", [](const FlightRecording& r) { return r.chunks().size(); }, "Chunks in the file.")
      .def_property_readonly(
          "num_joints", [](const FlightRecording& r) { return r.setup().limits.num_joints; }, "N.")
      .def_property_readonly("num_pictures", &FlightRecording::num_pictures, "Pictures in the file.")
      .def_property_readonly(
          "period_s", [](const FlightRecording& r) { return r.setup().period_s; }, "Of the ticks [s].")
      .def_property_readonly(
          "part", [](const FlightRecording& r) { return r.setup().part; },
          "0 for a file from the first tick on; else earlier parts were rotated out.")
      .def_property_readonly(
          "has_tool_actions", [](const FlightRecording& r) { return r.setup().has_tool_actions; },
          "Chunks are of the tool: only the enforcer is replayed.")
      .def_property_readonly(
          "has_surroundings", [](const FlightRecording& r) { return r.setup().has_surroundings; },
          "Walls or obstacles: only the executor is replayed.")
      .def_property_readonly("cut_bytes", &FlightRecording::cut_bytes, "Bytes after the last whole record.")
      .def("ticks", &ticks,
           "Columns: tick, time_ns, wakeup_ns, compute_ns, state_time_ns, chunk_sequence, status, "
           "follows_plan (n,), "
           "measured_position, measured_velocity, target, target_velocity, command_position, "
           "command_velocity, "
           "command_acceleration (n, N).")
      .def("chunks", &chunks,
           "One dict per chunk: time_ns, sequence, start_time_ns, period_ns, inference_ns, result, actions "
           "(T, D).")
      .def("replay", &replay,
           R"(Run executor and enforcer again on the recorded inputs and compare bit by bit.

Bit-exact for the same build on the same kind of processor.

Returns:
    ticks, executor_ticks, enforcer_ticks (that were compared), gaps, missing_ticks, missing_chunks, resumed_at (ticks from
    which on commands are compared again after a gap) and difference: None, or tick, time_ns, signal, joint, recorded,
    replayed of the first.)");

  py::class_<FlightFollower>(
      m, "FlightFollower",
      R"(Reads a flight recording from its beginning on, also while it is being written.

Executor and enforcer are run again on what is read, which tells seams and violations.

Args:
    path: The file; it need not be there yet.)")
      .def(py::init([](const std::filesystem::path& path) {
             return std::make_unique<FlightFollower>(path.string());
           }),
           py::arg("path"))
      .def_property_readonly(
          "num_joints", [](const FlightFollower& f) { return setup_of(f).limits.num_joints; }, "N.")
      .def_property_readonly(
          "limits", [](const FlightFollower& f) { return setup_of(f).limits; }, "What commands are held to.")
      .def_property_readonly(
          "period_s", [](const FlightFollower& f) { return setup_of(f).period_s; }, "Of the ticks [s].")
      .def_property_readonly(
          "has_tool_actions", [](const FlightFollower& f) { return setup_of(f).has_tool_actions; },
          "Chunks are of the tool: no seams are told.")
      .def_property_readonly(
          "has_surroundings", [](const FlightFollower& f) { return setup_of(f).has_surroundings; },
          "Walls or obstacles: no violations are told.")
      .def_property_readonly(
          "wall_offset_ns", [](const FlightFollower& f) { return setup_of(f).wall_offset_ns; },
          "What the wall clock was ahead of the steady clock as the run began [ns]; 0: not recorded.")
      .def("read", &read, py::arg("is_over") = false,
           R"(What is new since the last call.

Args:
    is_over: The run has ended: what is in the file is all there will be. Else the newest 0.2 s are held back.

Returns:
    None as long as there is no recording; ticks and chunks, as `FlightRecording` has them; pictures: time_ns, name,
    pixels (H, W, 3); seams: time_ns, sequence, position, velocity, acceleration (D,); violations: time_ns, joint, cause,
    wanted, given; has_more: True when another call may find more at once.

Raises:
    FormatError: The file is no recording.)");
}

}  // namespace vla_rt::bindings
