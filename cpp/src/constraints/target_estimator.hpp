#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "constraints/joint_bounds.hpp"

namespace vla_rt::constraints {

/// Where the target is at the end of the tick and how it moves there.
struct TargetMotion {
  double q = 0, v = 0, a = 0;
};

/// Motion of a sampled target without knowing where it comes from.
///
/// With feed-forward velocity the acceleration is its smoothed difference. Without, a fading-memory
/// polynomial filter of second degree (Morrison 1969): residual r against the prediction, memory theta,
///   q += (1-theta^3) r,   v += 3/2 (1-theta)^2 (1+theta) r/h,   a += (1-theta)^3 r/h^2.
/// It has no lag for constant acceleration. A jump faster than 1.5 V is a new goal, not motion: it starts
/// anew at rest. So does a small one by a target that has stood for long and stands again.
class TargetEstimator {
 public:
  /// theta in (0, 1); `smooth` also replaces the target's position by its estimate.
  void configure(double theta, bool smooth) noexcept {
    const double rest = 1 - theta;
    gain_q_ = 1 - theta * theta * theta;
    gain_v_ = 1.5 * rest * rest * (1 + theta);
    gain_a_ = rest * rest * rest;
    smooth_ = smooth;
  }
  /// Forgets all motion; `q` is the target until one is seen.
  void reset(double q) noexcept {
    last_q_ = q;
    forget();
  }
  void forget() noexcept {
    has_motion_ = has_feedforward_ = left_rest_ = false;
    v_ = a_ = last_jump_ = 0;
    repeats_ = 0;
  }
  /// The last good target, at rest.
  [[nodiscard]] TargetMotion held() const noexcept { return {.q = last_q_, .v = 0, .a = 0}; }

  /// Target q, already inside the range. `moved`: it had to be put there, so its motion is not the wish's.
  [[nodiscard]] TargetMotion see_position(double q, bool moved, const JointBounds& b, double h) noexcept {
    has_feedforward_ = false;
    const double d = q - last_q_;
    last_q_ = q;
    const double noise = rounding_of(q);
    if (std::fabs(d) <= noise) {
      if (repeats_ < kLongRest) ++repeats_;
    } else {
      left_rest_ = repeats_ == kLongRest;
      repeats_ = 0;
    }
    const double r = q - (q_ + h * (v_ + 0.5 * h * a_));
    const double sudden = 4 * b.A * h * h + rounding_of(q);  // more than a motion within A does in one tick
    const bool was_still = v_ == 0 && a_ == 0;
    const bool jump = std::fabs(d) > 1.5 * b.V * h || (was_still && !smooth_ && std::fabs(r) > sudden);
    if (moved || !has_motion_ || jump) {
      // Twice the same jump is the beginning of a ramp.
      const bool ramp = has_motion_ && jump && !moved && last_jump_ != 0 && std::fabs(d) <= b.V * h &&
                        std::fabs(d - last_jump_) <= sudden;
      last_jump_ = has_motion_ && jump && !moved ? d : 0;
      q_ = q;
      v_ = ramp ? d / h : 0;
      a_ = 0;
      has_motion_ = true;
      return {.q = q, .v = v_, .a = 0};
    }
    last_jump_ = 0;
    const bool small_step = left_rest_ && repeats_ >= 2 && !smooth_;
    if (small_step ||
        (std::fabs(r) <= noise && std::fabs(v_) * h <= noise && std::fabs(a_) * h * h <= noise)) {
      q_ = q;  // at rest, exactly: no tail of denormals
      v_ = a_ = 0;
    } else {
      q_ = q - (1 - gain_q_) * r;
      v_ += h * a_ + gain_v_ * r / h;
      a_ += gain_a_ * r / (h * h);
    }
    return limited(smooth_ ? q_ : q, v_, b);
  }

  /// Target q inside the range with its own, finite, velocity. When smoothing, its motion is that of its
  /// positions alone: the velocity of a noisy target is noisier still.
  [[nodiscard]] TargetMotion see_motion(double q, double feedforward, const JointBounds& b,
                                        double h) noexcept {
    if (smooth_) return see_position(q, false, b, h);
    last_q_ = q;
    has_motion_ = false;
    const double v = std::clamp(feedforward, -b.V, b.V);
    if (has_feedforward_) {
      const double a = std::clamp((v - v_) / h, -2 * b.A, 2 * b.A);
      a_ += 0.2 * (a - a_);
    } else {
      a_ = 0;
    }
    v_ = v;
    has_feedforward_ = true;
    return limited(q, v, b);
  }

  /// False for bytes that were never an estimator's.
  [[nodiscard]] static bool are_flags(const unsigned char* bytes) noexcept {
    return bytes[offsetof(TargetEstimator, smooth_)] <= 1 &&
           bytes[offsetof(TargetEstimator, has_motion_)] <= 1 &&
           bytes[offsetof(TargetEstimator, has_feedforward_)] <= 1;
  }

 private:
  static constexpr std::uint8_t kLongRest = 20;  // ticks: more than most hold the rows of a slower stream

  [[nodiscard]] TargetMotion limited(double q, double v, const JointBounds& b) const noexcept {
    return {.q = std::clamp(q, b.goal_min_q, b.goal_max_q),
            .v = std::clamp(v, -b.V, b.V),
            .a = std::clamp(a_, -0.8 * b.A, 0.8 * b.A)};
  }

  double gain_q_ = 0, gain_v_ = 0, gain_a_ = 0;
  double last_q_ = 0;
  double last_jump_ = 0;
  double q_ = 0, v_ = 0, a_ = 0;  // estimate; v_ is the last feed-forward in that mode
  bool smooth_ = false, has_motion_ = false, has_feedforward_ = false;
  std::uint8_t repeats_ = 0;  // ticks that the target has been the same, to kLongRest
  bool left_rest_ = false;    // its last move came after so long a rest
};

}  // namespace vla_rt::constraints
