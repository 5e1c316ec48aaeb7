#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/choices.hpp"
#include "bindings/executor_config.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/chunk_executor.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

ExecutionMode mode_from(const std::string& text) {
  return choice<ExecutionMode>(text, "mode",
                               {{"receding", ExecutionMode::Receding},
                                {"ensemble", ExecutionMode::Ensemble},
                                {"async", ExecutionMode::Async},
                                {"rtc", ExecutionMode::Rtc}});
}

Merge merge_from(const std::string& text) {
  return choice<Merge>(
      text, "merge",
      {{"crossfade", Merge::Crossfade}, {"replace", Merge::Replace}, {"average", Merge::Average}});
}

StarvationPolicy starvation_from(const std::string& text) {
  return choice<StarvationPolicy>(
      text, "on_starvation",
      {{"hold", StarvationPolicy::Hold}, {"decelerate", StarvationPolicy::Decelerate}});
}

std::vector<RotationDims> rotations_from(const py::object& pairs) {
  std::vector<RotationDims> rotations;
  const auto refuse = [&] {
    throw ConfigError("rotation_dims", py::repr(pairs).cast<std::string>(),
                      "must be pairs (first dim, format)");
  };
  try {
    for (const py::handle pair : pairs) {
      const auto [first, format] = pair.cast<std::pair<int, std::string>>();
      rotations.push_back({first, rotation_format_from_string(format, "rotation_dims")});
    }
  } catch (const py::cast_error&) {
    refuse();
  } catch (const py::error_already_set&) {
    refuse();
  }
  return rotations;
}

}  // namespace

ChunkExecutorConfig chunk_executor_config(int action_dim, double period_s, const std::string& mode,
                                          std::optional<int> execution_horizon, double blend_s,
                                          const std::string& interpolation, const std::string& merge,
                                          const ArrayLike& merge_weights, const ArrayLike& discrete_dims,
                                          const std::string& on_starvation,
                                          const std::optional<JointLimits>& limits,
                                          double temporal_ensemble_coeff, const py::object& rotation_dims) {
  ChunkExecutorConfig config;
  config.rotation_dims = rotations_from(rotation_dims);
  config.action_dim = action_dim;
  config.period_s = period_s;
  config.mode = mode_from(mode);
  if (execution_horizon && *execution_horizon < 1)
    throw ConfigError("execution_horizon", std::to_string(*execution_horizon), "must be >= 1");
  config.execution_horizon = execution_horizon.value_or(0);
  config.blend_s = blend_s;
  config.interpolation = interpolation_from(interpolation);
  config.merge = merge_from(merge);
  const std::vector<double> weights = vector_of<double>(merge_weights, "merge_weights");
  if (weights.size() != 2)
    throw ConfigError("merge_weights", std::to_string(weights.size()) + " numbers", "must be (old, new)");
  config.merge_weights = {weights[0], weights[1]};
  for (const std::int64_t d : vector_of<std::int64_t>(discrete_dims, "discrete_dims"))
    config.discrete_dims.push_back(static_cast<int>(std::clamp<std::int64_t>(d, -1, kMaxActionDim)));
  config.on_starvation = starvation_from(on_starvation);
  config.limits = limits;
  config.temporal_ensemble_coeff = temporal_ensemble_coeff;
  return config;
}

}  // namespace vla_rt::bindings
