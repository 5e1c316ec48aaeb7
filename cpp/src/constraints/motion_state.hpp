#pragma once
#include <array>

namespace vla_rt::constraints {

/// Commanded motion of one joint. Legend: q position [rad], v velocity [rad/s], a acceleration [rad/s^2], u
/// jerk.
struct MotionState {
  double q = 0, v = 0, a = 0;
};

/// x after jerk u held for t seconds.
[[nodiscard]] inline MotionState advanced(const MotionState& x, double u, double t) noexcept {
  return {.q = x.q + t * (x.v + t * (0.5 * x.a + t * u * (1.0 / 6.0))),
          .v = x.v + t * (x.a + 0.5 * u * t),
          .a = x.a + u * t};
}

struct JerkPiece {
  double duration = 0, jerk = 0;
};

/// Jerk inside one tick: constant, or the up to four pieces of a sampled stop.
struct TickMotion {
  int count = 0;
  std::array<JerkPiece, 4> pieces{};

  void set(double jerk, double duration) noexcept {
    count = 1;
    pieces[0] = {duration, jerk};
  }
  void append(double jerk, double duration) noexcept {
    pieces[static_cast<std::size_t>(count++)] = {duration, jerk};
  }

  /// Where the tick that started in x is after t seconds.
  [[nodiscard]] MotionState at(MotionState x, double t) const noexcept {
    for (int k = 0; k < count && t > 0; ++k) {
      const JerkPiece& piece = pieces[static_cast<std::size_t>(k)];
      const double dt = t < piece.duration || k + 1 == count ? t : piece.duration;
      x = advanced(x, piece.jerk, dt);
      t -= dt;
    }
    return x;
  }
};

}  // namespace vla_rt::constraints
