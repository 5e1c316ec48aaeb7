#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "constraints/certified_stop.hpp"
#include "constraints/joint_bounds.hpp"
#include "constraints/motion_state.hpp"
#include "constraints/target_tracker.hpp"
#include "vla_rt/core/capacity.hpp"

namespace vla_rt::constraints {

/// Rates of every joint such that all joints move as one.
///
/// Joint i with error e_i to its target gets V_i = |e_i| min_j(V_j/|e_j|), and A_i, J_i likewise. On the
/// straight line from rest to the goal all errors are multiples c_i of one motion phi(t), so |e_i|/|e_j| =
/// c_i/c_j at all times: every joint follows c_i phi under one and the same law and some joint uses its
/// limits fully. A joint that gets ahead has the smaller error, hence the smaller rates, and falls back into
/// line.
class CommonTimeScale {
 public:
  void update(std::span<const MotionState> errors, std::span<const JointBounds> bounds) noexcept {
    constexpr double kMost = std::numeric_limits<double>::max();
    per_weight_ = {kMost, kMost, kMost};
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      weight_[i] = std::max(std::fabs(errors[i].q), 1e-12);
      per_weight_.V = std::min(per_weight_.V, bounds[i].V / weight_[i]);
      per_weight_.A = std::min(per_weight_.A, bounds[i].A / weight_[i]);
      per_weight_.J = std::min(per_weight_.J, bounds[i].J / weight_[i]);
    }
  }

  /// Rates of joint i; its own full ones when it moves away from its target or can no longer stop before it
  /// at the common rates, which a motion from rest never does.
  [[nodiscard]] TrackingRates rates(std::size_t i, const MotionState& error,
                                    const JointBounds& b) const noexcept {
    const TrackingRates shared{.V = std::min(b.V, weight_[i] * per_weight_.V),
                               .A = std::min(b.A, weight_[i] * per_weight_.A),
                               .J = std::min(b.J, weight_[i] * per_weight_.J)};
    const double left = error.q + stop_displacement(error.v, error.a, shared.A, shared.J);
    const bool late = left * error.q <= 0 && std::fabs(left) > 0.1 * std::fabs(error.q);
    const bool away = error.v * error.q > 0;
    return late || away ? TrackingRates{.V = b.V, .A = b.A, .J = b.J} : shared;
  }

 private:
  JointArray weight_{};
  TrackingRates per_weight_;
};

}  // namespace vla_rt::constraints
