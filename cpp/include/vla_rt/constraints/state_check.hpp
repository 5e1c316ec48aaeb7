#pragma once
#include <span>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// A collision check of the user's own, called inside the tick. Real-time: `is_free` must be wait-free and
/// allocate nothing; it is called up to `kInstants` times for each of at most 7 candidates per tick, so its
/// cost counts 70 times in the worst tick. Thread: the enforcer's.
///
/// Unlike workspaces and capsules, nothing is known of it between the instants: a shape thinner than the
/// motion between two of them can be missed. Pad for it.
class StateCheck {
 public:
  /// Instants per candidate: the end of the step, the end of the stop, and equally spaced in between.
  static constexpr int kInstants = 10;

  virtual ~StateCheck() = default;
  /// Whether the robot may be at `q` [rad] or [m], the joints of the chain.
  [[nodiscard]] virtual bool is_free(std::span<const double> q) const noexcept VLA_RT_NONBLOCKING = 0;
};

}  // namespace vla_rt
