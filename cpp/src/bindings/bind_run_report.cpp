#include <array>
#include <cstddef>
#include <vector>

#include "bindings/execution_dicts.hpp"
#include "bindings/rt_dicts.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

py::dict to_dict(const InferenceStats& stats, bool abandoned) {
  py::dict latency_ms;
  latency_ms["p50"] = stats.latency.p50_us * 1e-3;
  latency_ms["p99"] = stats.latency.p99_us * 1e-3;
  latency_ms["p999"] = stats.latency.p999_us * 1e-3;
  latency_ms["max"] = stats.latency.max_us * 1e-3;
  py::dict d;
  d["chunks"] = stats.chunks;
  d["failures"] = stats.failures;
  d["refused"] = stats.refused;
  d["last_error"] = stats.last_error.empty() ? py::object(py::none()) : py::object(py::str(stats.last_error));
  d["latency_ms"] = latency_ms;
  d["abandoned"] = abandoned;
  return d;
}

py::array_t<double> signal(const Trace& trace, Signal which) {
  const auto n = static_cast<std::size_t>(trace.num_joints), rows = trace.rows();
  py::array_t<double> result({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(n)});
  double* out = result.mutable_data();
  for (std::size_t row = 0; row < rows; ++row) {
    const double* from = trace.values.data() + (row * kNumSignals + static_cast<std::size_t>(which)) * n;
    out = std::copy_n(from, n, out);
  }
  return result;
}

}  // namespace

py::dict to_dict(const RunReport& report) {
  py::dict d;
  d["ticks"] = report.ticks;
  d["duration_s"] = report.duration_s;
  d["deadline_misses"] = report.deadline_misses;
  d["wakeup_us"] = to_dict(report.wakeup);
  d["compute_us"] = to_dict(report.compute);
  d["limit_violations"] = report.limit_violations;
  py::dict worst;
  worst["velocity"] = report.worst_limit_ratio[0];
  worst["acceleration"] = report.worst_limit_ratio[1];
  worst["jerk"] = report.worst_limit_ratio[2];
  d["worst_limit_ratio"] = worst;
  py::dict statuses;
  for (std::size_t s = 0; s < report.status_counts.size(); ++s)
    statuses[to_string(static_cast<Status>(s))] = report.status_counts[s];
  d["status_counts"] = statuses;
  const bool faulted = report.fault.reason != FaultReason::None;
  d["fault"] = faulted ? py::object(py::str(to_string(report.fault.reason))) : py::object(py::none());
  d["fault_text"] = faulted ? py::object(py::str(report.fault_text)) : py::object(py::none());
  d["interrupted"] = report.interrupted;
  d["inference"] = to_dict(report.inference, report.inference_abandoned);
  py::dict seam;
  seam["count"] = report.seam.count;
  seam["position"] = report.seam.position;
  seam["velocity"] = report.seam.velocity;
  seam["acceleration"] = report.seam.acceleration;
  d["seam"] = seam;
  d["tracking_rms"] = report.tracking_rms;
  d["limiting_rms"] = report.limiting_rms;
  d["realtime"] = to_dict(report.realtime);
  d["dropped_records"] = report.dropped_records;
  return d;
}

py::dict to_dict(const Trace& trace) {
  const auto rows = static_cast<py::ssize_t>(trace.rows());
  py::array_t<double> time_s(rows), wakeup_us(rows), compute_us(rows);
  py::array_t<std::uint8_t> status(rows);
  py::array_t<std::uint64_t> sequence(rows);
  for (py::ssize_t row = 0; row < rows; ++row) {
    const auto i = static_cast<std::size_t>(row);
    time_s.mutable_at(row) = to_seconds(trace.time_ns[i]);
    wakeup_us.mutable_at(row) = static_cast<double>(trace.wakeup_ns[i]) * 1e-3;
    compute_us.mutable_at(row) = static_cast<double>(trace.compute_ns[i]) * 1e-3;
    status.mutable_at(row) = static_cast<std::uint8_t>(trace.status[i]);
    sequence.mutable_at(row) = trace.chunk_sequence[i];
  }
  py::dict d;
  d["time_s"] = time_s;
  d["wakeup_us"] = wakeup_us;
  d["compute_us"] = compute_us;
  d["measured_position"] = signal(trace, Signal::MeasuredPosition);
  d["measured_velocity"] = signal(trace, Signal::MeasuredVelocity);
  d["command_position"] = signal(trace, Signal::CommandPosition);
  d["command_velocity"] = signal(trace, Signal::CommandVelocity);
  d["command_acceleration"] = signal(trace, Signal::CommandAcceleration);
  d["target"] = signal(trace, Signal::Target);
  d["status"] = status;
  d["chunk_sequence"] = sequence;
  return d;
}

}  // namespace vla_rt::bindings
