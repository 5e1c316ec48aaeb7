#pragma once
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "vla_rt/rt/latency_histogram.hpp"
#include "vla_rt/rt/realtime_thread.hpp"

// Reports of the rt room as the dicts that Python sees.

namespace vla_rt::bindings {

/// {p50, p99, p999, max} [us].
inline pybind11::dict to_dict(const LatencySummary& summary) {
  pybind11::dict d;
  d["p50"] = summary.p50_us;
  d["p99"] = summary.p99_us;
  d["p999"] = summary.p999_us;
  d["max"] = summary.max_us;
  return d;
}

inline pybind11::dict to_dict(const RealtimeGrant& grant) {
  pybind11::dict d;
  d["fifo"] = grant.fifo;
  d["affinity"] = grant.affinity;
  d["memory_locked"] = grant.memory_locked;
  d["stack_prefaulted"] = grant.stack_prefaulted;
  d["cpu_awake"] = grant.cpu_awake;
  d["priority"] = grant.priority;
  d["cpu"] =
      grant.cpu >= 0 ? pybind11::object(pybind11::int_(grant.cpu)) : pybind11::object(pybind11::none());
  d["refused"] = grant.refused;
  return d;
}

}  // namespace vla_rt::bindings
