#pragma once
#include <array>
#include <cstddef>

#include "vla_rt/constraints/joint_limits.hpp"

namespace vla_rt::execution {

/// How one dim comes to rest: up to three pieces of constant jerk, then rest.
struct Stop {
  struct Piece {
    double duration = 0, q = 0, v = 0, a = 0, jerk = 0;  // the state at the beginning of the piece
  };
  std::array<Piece, 3> pieces{};
  double rest = 0;  // position after the last piece
  double min_position = 0, max_position = 0;

  [[nodiscard]] static Stop at_rest(double q) noexcept {
    return {.pieces = {}, .rest = q, .min_position = q, .max_position = q};
  }
  /// The time-optimal stop from (q, v, a) under the acceleration and jerk limits of joint d, a first clamped
  /// to them. A position limit in the way is where it ends, unless q is beyond it already.
  [[nodiscard]] static Stop plan(double q, double v, double a, const JointLimits& limits,
                                 std::size_t d) noexcept;

  /// State `t` seconds into the stop.
  void evaluate(double t, double& q, double& v, double& a) const noexcept;
};

}  // namespace vla_rt::execution
