#pragma once
#include <algorithm>
#include <array>
#include <cstddef>

#include "vla_rt/core/capacity.hpp"

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

/// One tick of one joint: how it moves and where it ends.
struct Step {
  TickMotion motion;
  MotionState end;
};

/// Velocity, acceleration and jerk it would take to be at q after h seconds.
struct RatesAsked {
  double v = 0, a = 0, j = 0;
};
[[nodiscard]] inline RatesAsked rates_to(double q, const MotionState& x, double h) noexcept {
  const double v = (q - x.q) / h, a = (v - x.v) / h;
  return {.v = v, .a = a, .j = (a - x.a) / h};
}

/// The commanded state of all joints, in arrays of their own for the outside, and the tick that led to it.
struct CommandedMotion {
  JointArray q{}, v{}, a{}, jerk{};                   // jerk: mean of the last tick
  std::array<MotionState, kMaxActionDim> before{};    // the last tick began here
  std::array<TickMotion, kMaxActionDim> last_tick{};  // and went so

  [[nodiscard]] MotionState state(std::size_t i) const noexcept { return {.q = q[i], .v = v[i], .a = a[i]}; }

  void start(std::size_t i, const MotionState& x) noexcept {
    put(i, x);
    jerk[i] = 0;
    before[i] = x;
    last_tick[i] = {};
  }
  void take(std::size_t i, const Step& step, double J, double h) noexcept {
    jerk[i] =
        step.motion.count == 1 ? step.motion.pieces[0].jerk : std::clamp((step.end.a - a[i]) / h, -J, J);
    before[i] = state(i);
    last_tick[i] = step.motion;
    put(i, step.end);
  }

  [[nodiscard]] bool at_rest(std::size_t n) const noexcept {
    for (std::size_t i = 0; i < n; ++i)
      if (v[i] != 0 || a[i] != 0) return false;
    return true;
  }

 private:
  void put(std::size_t i, const MotionState& x) noexcept {
    q[i] = x.q;
    v[i] = x.v;
    a[i] = x.a;
  }
};

}  // namespace vla_rt::constraints
