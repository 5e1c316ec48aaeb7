#pragma once
#include <optional>
#include <string>

#include "bindings/arrays.hpp"
#include "vla_rt/execution/chunk_executor.hpp"

namespace vla_rt::bindings {

/// The executor's options as Python spells them. Throws ConfigError for unknown words; numbers are the
/// executor's to check.
ChunkExecutorConfig chunk_executor_config(int action_dim, double period_s, const std::string& mode,
                                          std::optional<int> execution_horizon, double blend_s,
                                          const std::string& interpolation, const std::string& merge,
                                          const ArrayLike& merge_weights, const ArrayLike& discrete_dims,
                                          const std::string& on_starvation,
                                          const std::optional<JointLimits>& limits,
                                          double temporal_ensemble_coeff,
                                          const pybind11::object& rotation_dims);

}  // namespace vla_rt::bindings
