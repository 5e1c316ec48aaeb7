#include "vla_rt/core/action_chunk.hpp"

#include <algorithm>
#include <string>
#include <type_traits>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

static_assert(std::is_trivially_copyable_v<ActionChunk>);

void ActionChunk::resize(int new_horizon, int new_action_dim) {
  if (new_horizon < 1 || new_horizon > kMaxHorizon)
    throw ConfigError("horizon", std::to_string(new_horizon), "must be in 1.." + std::to_string(kMaxHorizon));
  if (new_action_dim < 1 || new_action_dim > kMaxActionDim)
    throw ConfigError("action_dim", std::to_string(new_action_dim),
                      "must be in 1.." + std::to_string(kMaxActionDim));
  horizon = new_horizon;
  action_dim = new_action_dim;
}

void ActionChunk::copy_from(const ActionChunk& other) noexcept {
  sequence = other.sequence;
  start_time_ns = other.start_time_ns;
  period_ns = other.period_ns;
  inference_ns = other.inference_ns;
  horizon = other.horizon;
  action_dim = other.action_dim;
  std::copy_n(other.values.data(), static_cast<std::size_t>(horizon) * action_dim, values.data());
}

}  // namespace vla_rt
