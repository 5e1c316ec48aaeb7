#pragma once
#include <span>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/capacity.hpp"

namespace vla_rt {

/// First-order exponential smoothing of D signals: y = alpha * y_previous + (1 - alpha) * x. The first output
/// is the first input.
///
/// Phase lag: slow signals come out alpha / (1 - alpha) samples late (0.9: 9 samples); at w rad/sample the
/// lag is atan(alpha sin w / (1 - alpha cos w)) rad and the gain (1 - alpha) / sqrt(1 - 2 alpha cos w +
/// alpha^2).
///
/// A sample that is not finite counts as a repetition of that signal's last good one (0 before any).
/// Real-time: `update` is wait-free and allocates nothing. Thread: one at a time.
class VLA_RT_API LowPassFilter {
 public:
  /// Throws ConfigError unless 0 <= alpha < 1.
  explicit LowPassFilter(double alpha);

  /// One sample: x (D) in, y (D) out; may be the same memory. D is that of the first sample, at most
  /// kMaxActionDim; further numbers are ignored.
  void update(std::span<const double> x, std::span<double> y) noexcept VLA_RT_NONBLOCKING;
  /// Forgets the past.
  void reset() noexcept VLA_RT_NONBLOCKING { dim_ = 0; }

  [[nodiscard]] double alpha() const noexcept { return alpha_; }
  /// D; 0 before the first sample.
  [[nodiscard]] int dimension() const noexcept { return dim_; }
  /// How late slow signals come out [samples].
  [[nodiscard]] double delay_samples() const noexcept { return alpha_ / (1 - alpha_); }

 private:
  double alpha_;
  int dim_ = 0;
  JointArray input_{}, output_{};
};

}  // namespace vla_rt
