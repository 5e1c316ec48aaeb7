#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <optional>
#include <string>

#include "bindings/arrays.hpp"
#include "vla_rt/sampling/guidance.hpp"

namespace vla_rt::bindings {

/// `vla_rt.rtc.Guidance`: which chunk a new one shall continue, and how.
struct PythonGuidance {
  Array<double> previous;  // (L, D) or (B, L, D)
  int delay = 0, end = 0;
  GuidanceOptions options;

  [[nodiscard]] bool batched() const { return previous.ndim() == 3; }
  [[nodiscard]] int action_dim() const { return static_cast<int>(previous.shape(previous.ndim() - 1)); }
  [[nodiscard]] ChunkPrefix prefix() const {
    return {elements(previous), batched() ? static_cast<int>(previous.shape(0)) : 1,
            static_cast<int>(previous.shape(previous.ndim() - 2)), delay, end};
  }

  /// Throws ConfigError unless the previous rows have the sample's `dim`.
  void require_action_dim(int dim) const {
    if (action_dim() != dim)
      throw ConfigError("guidance.previous", "shape " + shape_text(previous),
                        "must have action_dim = " + std::to_string(dim));
  }
};

/// None or a PythonGuidance. Throws ConfigError for anything else.
inline const PythonGuidance* guidance_or_null(const pybind11::object& guidance) {
  if (guidance.is_none()) return nullptr;
  if (!pybind11::isinstance<PythonGuidance>(guidance))
    throw ConfigError("guidance",
                      pybind11::str(pybind11::type::of(guidance).attr("__name__")).cast<std::string>(),
                      "must be a vla_rt.rtc.Guidance or None");
  return guidance.cast<const PythonGuidance*>();
}

}  // namespace vla_rt::bindings
