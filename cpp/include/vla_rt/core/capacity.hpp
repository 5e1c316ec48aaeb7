#pragma once
#include <array>

namespace vla_rt {

/// Largest number of action dimensions or joints (D, N) any object of the runtime holds.
inline constexpr int kMaxActionDim = 64;
/// Largest number of rows (T) of an action chunk.
inline constexpr int kMaxHorizon = 256;

/// One value per joint or action dimension; entries from `num_joints` / `action_dim` on are zero and unused.
using JointArray = std::array<double, kMaxActionDim>;

}  // namespace vla_rt
