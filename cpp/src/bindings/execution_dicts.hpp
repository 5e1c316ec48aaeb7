#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "vla_rt/execution/run_report.hpp"

// Reports of the execution room as the dicts and arrays that Python sees.

namespace vla_rt::bindings {

inline pybind11::object fault_or_none(const Fault& fault, const std::string& text) {
  if (fault.reason == FaultReason::None) return pybind11::none();
  pybind11::dict d;
  d["reason"] = to_string(fault.reason);
  d["text"] = text;
  d["time_s"] = to_seconds(fault.time_ns);
  d["joint"] =
      fault.joint >= 0 ? pybind11::object(pybind11::int_(fault.joint)) : pybind11::object(pybind11::none());
  d["value"] = fault.value;
  d["bound"] = fault.bound;
  return d;
}

/// Counts of a ChunkExecutor.
pybind11::dict to_dict(const ExecutorCounters& counters);
/// Chunks, failures, latencies.
pybind11::dict to_dict(const InferenceStats& stats, bool abandoned);
/// Times in microseconds.
pybind11::dict to_dict(const InlineFigures& figures);
/// The counts, latencies and figures; everything but the trace.
pybind11::dict to_dict(const RunReport& report);
/// name -> array of the newest ticks, time from the first of them that was kept.
pybind11::dict to_dict(const Trace& trace);
/// name -> array of the chunks that were handed over, and of the seams; times as the trace's.
pybind11::dict handovers_dict(const RunReport& report);
pybind11::dict seams_dict(const RunReport& report);

}  // namespace vla_rt::bindings
