#include <cmath>
#include <string>

#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/chunk_executor.hpp"

namespace vla_rt {
namespace {

constexpr double kLongest_s = 60;

void require(bool good, const char* name, double value, const std::string& bound) {
  if (!good) throw ConfigError(name, number(value), bound);
}

}  // namespace

void ChunkExecutorConfig::validate() const {
  if (action_dim < 1 || action_dim > kMaxActionDim)
    throw ConfigError("action_dim", std::to_string(action_dim),
                      "must be in 1.." + std::to_string(kMaxActionDim));
  require(std::isfinite(period_s) && period_s >= 1e-6 && period_s <= kLongest_s, "period_s", period_s,
          "must be in 1e-6..60 s");
  if (execution_horizon < 0 || execution_horizon > kMaxHorizon)
    throw ConfigError("execution_horizon", std::to_string(execution_horizon),
                      "must be in 1.." + std::to_string(kMaxHorizon) + ", or 0 for all rows");
  require(std::isfinite(blend_s) && blend_s >= 0 && blend_s <= kLongest_s, "blend_s", blend_s,
          "must be in 0..60 s");
  for (std::size_t i = 0; i < merge_weights.size(); ++i)
    require(std::isfinite(merge_weights[i]) && merge_weights[i] >= 0,
            indexed("merge_weights", static_cast<long>(i)).c_str(), merge_weights[i],
            "must be finite and >= 0");
  const double sum = merge_weights[0] + merge_weights[1];
  require(std::isfinite(sum) && sum > 0, "merge_weights", sum, "must have a finite sum > 0");
  require(std::isfinite(temporal_ensemble_coeff) && temporal_ensemble_coeff >= -2, "temporal_ensemble_coeff",
          temporal_ensemble_coeff, "must be finite and >= -2");
  std::array<bool, kMaxActionDim> discrete{};
  for (std::size_t i = 0; i < discrete_dims.size(); ++i) {
    const int d = discrete_dims[i];
    if (d < 0 || d >= action_dim)
      throw ConfigError(indexed("discrete_dims", static_cast<long>(i)), std::to_string(d),
                        "must be in 0.." + std::to_string(action_dim - 1));
    if (discrete[static_cast<std::size_t>(d)])
      throw ConfigError(indexed("discrete_dims", static_cast<long>(i)), std::to_string(d), "is there twice");
    discrete[static_cast<std::size_t>(d)] = true;
  }
  std::array<bool, kMaxActionDim> rotation{};
  int inner_dim = action_dim;  // a quaternion per rotation
  for (std::size_t i = 0; i < rotation_dims.size(); ++i) {
    const RotationDims& dims = rotation_dims[i];
    const std::string name = indexed("rotation_dims", static_cast<long>(i));
    if (dims.format != RotationFormat::Quaternion && dims.format != RotationFormat::RotationVector &&
        dims.format != RotationFormat::Rotation6d)
      throw ConfigError(name, to_string(dims.format), "must be quaternion, rotation_vector or rotation_6d");
    const int size = static_cast<int>(size_of(dims.format));
    if (size > action_dim)
      throw ConfigError(
          name, to_string(dims.format),
          "needs " + std::to_string(size) + " dims, action_dim is " + std::to_string(action_dim));
    if (dims.first < 0 || dims.first > action_dim - size)
      throw ConfigError(
          name, std::to_string(dims.first),
          "must be in 0.." + std::to_string(action_dim - size) + " for " + to_string(dims.format));
    for (int d = dims.first; d < dims.first + size; ++d) {
      if (rotation[static_cast<std::size_t>(d)] || discrete[static_cast<std::size_t>(d)])
        throw ConfigError(name, "dim " + std::to_string(d), "is discrete or part of another rotation");
      rotation[static_cast<std::size_t>(d)] = true;
    }
    inner_dim += 4 - size;
  }
  if (inner_dim > kMaxActionDim)
    throw ConfigError("rotation_dims", std::to_string(inner_dim) + " dims with quaternions",
                      "must be at most " + std::to_string(kMaxActionDim));
  if (on_starvation != StarvationPolicy::Decelerate) return;
  if (!limits) throw ConfigError("limits", "None", "on_starvation = decelerate needs limits");
  if (limits->num_joints > action_dim)
    throw ConfigError("limits.num_joints", std::to_string(limits->num_joints),
                      "must be at most action_dim = " + std::to_string(action_dim));
  for (int d = 0; d < action_dim; ++d) {
    const std::size_t i = static_cast<std::size_t>(d);
    if (discrete[i]) continue;
    if (d >= limits->num_joints)
      throw ConfigError("limits.num_joints", std::to_string(limits->num_joints),
                        "must cover dim " + std::to_string(d) + ", which is not discrete");
    require(std::isfinite(limits->max_acceleration[i]) && limits->max_acceleration[i] > 0,
            indexed("limits.max_acceleration", d).c_str(), limits->max_acceleration[i],
            "must be finite and > 0");
    require(std::isfinite(limits->max_jerk[i]) && limits->max_jerk[i] > 0,
            indexed("limits.max_jerk", d).c_str(), limits->max_jerk[i], "must be finite and > 0");
    require(limits->min_position[i] < limits->max_position[i], indexed("limits.min_position", d).c_str(),
            limits->min_position[i], "must be < max_position");
  }
}

}  // namespace vla_rt
