#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <vector>

#include "vla_rt/constraints/enforcer_report.hpp"

namespace vla_rt::bindings {

/// What one apply did, with the log as it was then.
struct PythonReport {
  EnforcerReport report;
  int num_joints = 0;
  std::vector<WishLogEntry> log;

  [[nodiscard]] pybind11::frozenset limited() const;
  [[nodiscard]] pybind11::array_t<std::uint8_t> causes() const;
  [[nodiscard]] pybind11::dict distance_to_limit() const;
  [[nodiscard]] pybind11::list log_dicts() const;
};

/// {joint, cause, wanted, given, time_s}.
[[nodiscard]] pybind11::dict to_dict(const WishLogEntry& entry);

}  // namespace vla_rt::bindings
