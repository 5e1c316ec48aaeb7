#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// How the motion between two rows is made.
enum class Interpolation : std::uint8_t {
  Linear,   ///< straight lines: continuous, velocity jumps at the rows
  Cubic,    ///< not-a-knot cubic spline through the rows: C2, position, velocity and acceleration continuous
  Quintic,  ///< quintic pieces that match velocity and acceleration estimated at the rows: C2, and local
};

/// A motion of D dimensions through rows of even spacing.
///
/// Every piece is a Hermite polynomial of the states at its two ends, so that evaluation costs the same few
/// weights for all dimensions and reproduces the rows bit for bit.
///
/// Cubic: the spline of `scipy.interpolate.CubicSpline(..., bc_type="not-a-knot")`; three rows give the
/// parabola, two the line. One row changed moves the whole curve a little, decaying by 3.7 per row. Quintic:
/// velocity and acceleration by five-point central differences, by the cubic through the first (last) four
/// rows at the two rows of each end; exact for cubic motions. One row changed moves three pieces on either
/// side only. One row is a constant.
///
/// Real-time: construction allocates; `fit`, `fit_states`, `copy_from` and `evaluate` do not.
/// Thread: one at a time; `evaluate` from several.
class VLA_RT_API RowInterpolator {
 public:
  RowInterpolator() = default;
  /// Room for `capacity` rows of `action_dim` numbers. Throws ConfigError for an action_dim
  /// outside 1..kMaxActionDim or a capacity outside 1..kMaxHorizon.
  RowInterpolator(int action_dim, int capacity, Interpolation interpolation);

  /// The motion of least squared jerk from rest at `start` to rest at `goal` (D each) in `duration_s`: one
  /// quintic, two rows. Throws ConfigError for unequal or bad sizes, a number that is not finite, or a
  /// duration that is not > 0. Source: Flash and Hogan 1985. Real-time: no (allocates).
  [[nodiscard]] static RowInterpolator minimum_jerk(std::span<const double> start,
                                                    std::span<const double> goal, double duration_s);

  /// The motion through `rows` (T, D), row-major, row t at t * period_s. Throws ConfigError, changing
  /// nothing, when T is not in 1..capacity, the span is not T * D long, a number is not finite or the period
  /// is not finite and > 0.
  void fit(std::span<const double> rows, int horizon, double period_s);

  /// Quintic pieces through given states at `horizon` times of even spacing; each span (T, D). No check.
  void fit_states(std::span<const double> position, std::span<const double> velocity,
                  std::span<const double> acceleration, int horizon, double period_s) noexcept;

  /// Takes over the motion of `other`, which has the same action_dim and no more rows than this one's
  /// capacity.
  void copy_from(const RowInterpolator& other) noexcept;

  /// Position, velocity and acceleration (D each) at `time_s` after row 0, a time outside the rows taken as
  /// the nearest end of them (with the velocity and acceleration there). At a row: those of the piece that
  /// begins there.
  void evaluate(double time_s, std::span<double> position, std::span<double> velocity,
                std::span<double> acceleration) const noexcept VLA_RT_NONBLOCKING;
  /// As `evaluate`, but adds to what the spans hold.
  void accumulate(double time_s, std::span<double> position, std::span<double> velocity,
                  std::span<double> acceleration) const noexcept VLA_RT_NONBLOCKING;

  /// Row t (D) exactly as it was given.
  [[nodiscard]] std::span<const double> row(int t) const noexcept VLA_RT_NONBLOCKING;

  [[nodiscard]] int horizon() const noexcept { return horizon_; }
  [[nodiscard]] int action_dim() const noexcept { return action_dim_; }
  [[nodiscard]] Interpolation interpolation() const noexcept { return interpolation_; }
  [[nodiscard]] double period_s() const noexcept { return period_s_; }
  [[nodiscard]] double duration_s() const noexcept { return (horizon_ - 1) * period_s_; }

 private:
  // Row t: position (D), velocity * period (D), acceleration * period^2 (D).
  [[nodiscard]] double* state(int t) noexcept {
    return states_.data() + static_cast<std::size_t>(t) * 3 * static_cast<std::size_t>(action_dim_);
  }
  [[nodiscard]] const double* state(int t) const noexcept {
    return states_.data() + static_cast<std::size_t>(t) * 3 * static_cast<std::size_t>(action_dim_);
  }
  void fit_cubic() noexcept;
  void fit_quintic() noexcept;

  int action_dim_ = 0, capacity_ = 0, horizon_ = 0;
  double period_s_ = 1;
  Interpolation interpolation_ = Interpolation::Cubic;
  Interpolation pieces_ = Interpolation::Cubic;  // of the present motion: `fit_states` makes quintic ones
  std::vector<double> states_;
  std::vector<double> elimination_;  // of the spline's tridiagonal system, the same for every number of rows
};

}  // namespace vla_rt
