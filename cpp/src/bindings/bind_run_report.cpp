#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "bindings/execution_dicts.hpp"
#include "bindings/rt_dicts.hpp"
#include "vla_rt/constraints/enforcer_report.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

py::dict milliseconds(const LatencySummary& summary) {
  py::dict d;
  d["p50"] = summary.p50_us * 1e-3;
  d["p99"] = summary.p99_us * 1e-3;
  d["p999"] = summary.p999_us * 1e-3;
  d["max"] = summary.max_us * 1e-3;
  return d;
}

py::dict to_dict(const SeamSummary& seam) {
  const auto jump = [](double p, double v, double a) {
    py::dict d;
    d["position"] = p;
    d["velocity"] = v;
    d["acceleration"] = a;
    return d;
  };
  py::dict d = jump(seam.position.max, seam.velocity.max, seam.acceleration.max);
  d["count"] = seam.count;
  d["p50"] = jump(seam.position.p50, seam.velocity.p50, seam.acceleration.p50);
  d["p99"] = jump(seam.position.p99, seam.velocity.p99, seam.acceleration.p99);
  return d;
}

template <class Rows, class Get>
auto column(const Rows& rows, Get get) {
  py::array_t<decltype(get(rows.front()))> values(static_cast<py::ssize_t>(rows.size()));
  py::ssize_t row = 0;
  for (const auto& r : rows) values.mutable_at(row++) = get(r);
  return values;
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

py::dict to_dict(const ExecutorCounters& c) {
  py::dict counts;
  counts["accepted"] = c.accepted;
  counts["dropped_chunks"] = c.dropped_chunks;
  counts["dropped_rows"] = c.dropped_rows;
  counts["refused_invalid"] = c.refused_invalid;
  counts["refused_future"] = c.refused_future;
  counts["superseded"] = c.superseded;
  counts["splices"] = c.splices;
  counts["queries"] = c.queries;
  counts["late_queries"] = c.late_queries;
  counts["starved_queries"] = c.starved_queries;
  counts["starved_s"] = to_seconds(c.starved_ns);
  counts["overtaken"] = c.overtaken;
  return counts;
}

py::dict to_dict(const InferenceStats& stats, bool abandoned) {
  std::vector<double> expected, remaining;
  std::uint64_t later = 0;
  for (const Handover& h : stats.handovers) {
    if (h.sequence <= 1) continue;  // before the first chunk there is no plan, and nothing to expect
    remaining.push_back(to_seconds(h.remaining_ns) * 1e3);
    expected.push_back(to_seconds(h.expected_delay_ns) * 1e3);
    later += h.delay_ns > h.expected_delay_ns;
  }
  std::ranges::sort(expected);
  std::ranges::sort(remaining);
  const auto rank = [](const std::vector<double>& sorted, double q) {
    if (sorted.empty()) return 0.0;
    const double place = std::ceil(q * static_cast<double>(sorted.size()));
    return sorted[static_cast<std::size_t>(std::max(place, 1.0)) - 1];
  };
  py::dict expected_ms, remaining_ms;
  expected_ms["p50"] = rank(expected, 0.5);
  expected_ms["max"] = rank(expected, 1);
  remaining_ms["min"] = rank(remaining, 0);
  remaining_ms["p50"] = rank(remaining, 0.5);
  py::dict d;
  d["chunks"] = stats.chunks;
  d["failures"] = stats.failures;
  d["refused"] = stats.refused;
  d["last_error"] = stats.last_error.empty() ? py::object(py::none()) : py::object(py::str(stats.last_error));
  d["latency_ms"] = milliseconds(stats.latency);
  d["delay_ms"] = milliseconds(stats.delay);
  d["expected_delay_ms"] = expected_ms;
  d["later_than_expected"] = later;
  d["remaining_plan_ms"] = remaining_ms;
  d["abandoned"] = abandoned;
  return d;
}

py::dict to_dict(const InlineFigures& figures) {
  py::dict d;
  d["budget_us"] = figures.budget_s * 1e6;
  d["encode_us"] = figures.encode_s * 1e6;
  d["step_us"] = figures.step_s * 1e6;
  d["hand_over_us"] = figures.hand_over_s * 1e6;
  d["num_steps"] = figures.num_steps;
  d["ticks"] = figures.ticks;
  d["over_budget"] = figures.over_budget;
  d["most_ticks"] = figures.most_ticks;
  return d;
}

py::dict handovers_dict(const RunReport& report) {
  const auto& rows = report.inference.handovers;
  py::dict d;
  d["time_s"] = column(rows, [](const Handover& h) { return to_seconds(h.time_ns); });
  d["delay_s"] = column(rows, [](const Handover& h) { return to_seconds(h.delay_ns); });
  d["expected_delay_s"] = column(rows, [](const Handover& h) { return to_seconds(h.expected_delay_ns); });
  d["remaining_s"] = column(rows, [](const Handover& h) { return to_seconds(h.remaining_ns); });
  d["dropped_rows"] =
      column(rows, [](const Handover& h) { return static_cast<std::int64_t>(h.dropped_rows); });
  d["sequence"] = column(rows, [](const Handover& h) { return h.sequence; });
  return d;
}

py::dict seams_dict(const RunReport& report) {
  const auto dim = static_cast<std::size_t>(report.seam_dim);
  const auto matrix = [&](JointArray Seam::* quantity) {
    py::array_t<double> values(
        {static_cast<py::ssize_t>(report.seams.size()), static_cast<py::ssize_t>(dim)});
    double* out = values.mutable_data();
    for (const Seam& seam : report.seams) out = std::copy_n((seam.*quantity).begin(), dim, out);
    return values;
  };
  py::dict d;
  d["time_s"] = column(report.seams, [](const Seam& s) { return to_seconds(s.time_ns); });
  d["position"] = matrix(&Seam::position);
  d["velocity"] = matrix(&Seam::velocity);
  d["acceleration"] = matrix(&Seam::acceleration);
  return d;
}

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
  py::dict limited;
  const std::size_t joints = report.limited_ticks.size() / kCauses.size();
  for (std::size_t k = 0; k < kCauses.size(); ++k) {
    const auto first = report.limited_ticks.begin() + static_cast<std::ptrdiff_t>(k * joints);
    limited[to_string(kCauses[k])] =
        std::vector<std::int64_t>(first, first + static_cast<std::ptrdiff_t>(joints));
  }
  d["limited_ticks"] = limited;
  d["dropped_violations"] = report.dropped_violations;
  d["unrecorded"] = report.unrecorded;
  const bool faulted = report.fault.reason != FaultReason::None;
  d["fault"] = faulted ? py::object(py::str(to_string(report.fault.reason))) : py::object(py::none());
  d["fault_text"] = faulted ? py::object(py::str(report.fault_text)) : py::object(py::none());
  d["interrupted"] = report.interrupted;
  py::dict inference = to_dict(report.inference, report.inference_abandoned);
  inference["in_tick"] = report.in_tick ? py::object(to_dict(*report.in_tick)) : py::object(py::none());
  d["inference"] = inference;
  d["executor"] = to_dict(report.executor);
  d["seam"] = to_dict(report.seam);
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
