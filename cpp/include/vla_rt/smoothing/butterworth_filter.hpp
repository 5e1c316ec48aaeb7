#pragma once
#include <array>
#include <span>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/capacity.hpp"

namespace vla_rt {

/// Butterworth low-pass of D signals: flat pass band, -3 dB at the cutoff, 20 dB per decade and order beyond.
///
/// Second-order sections by the bilinear transform with the cutoff pre-warped: the filter of
/// `scipy.signal.butter(order, cutoff_hz, fs=rate_hz, output="sos")`. It starts settled on the first sample
/// (as with `sosfilt_zi`), so that the output does not start from zero.
///
/// Phase lag: slow signals come out `delay_s` late, about 0.225 / cutoff_hz for order 2 and 0.159, 0.318,
/// 0.416 / cutoff_hz for orders 1, 3, 4; at the cutoff itself the lag is 45 degrees per order.
///
/// A sample that is not finite counts as a repetition of that signal's last good one (0 before any).
/// Real-time: `update` is wait-free and allocates nothing. Thread: one at a time.
class VLA_RT_API ButterworthFilter {
 public:
  static constexpr int kMaxOrder = 8;

  /// Throws ConfigError unless 0 < cutoff_hz < rate_hz / 2, all finite, and 1 <= order <= kMaxOrder.
  ButterworthFilter(double cutoff_hz, double rate_hz, int order = 2);

  /// One sample: x (D) in, y (D) out; may be the same memory. D is that of the first sample, at most
  /// kMaxActionDim; further numbers are ignored.
  void update(std::span<const double> x, std::span<double> y) noexcept VLA_RT_NONBLOCKING;
  /// Forgets the past.
  void reset() noexcept VLA_RT_NONBLOCKING { dim_ = 0; }

  [[nodiscard]] int order() const noexcept { return order_; }
  /// D; 0 before the first sample.
  [[nodiscard]] int dimension() const noexcept { return dim_; }
  /// How late slow signals come out [s].
  [[nodiscard]] double delay_s() const noexcept { return delay_s_; }

 private:
  struct Section {
    double b0 = 0, b1 = 0, b2 = 0, a1 = 0, a2 = 0;
    JointArray z1{}, z2{};  // transposed direct form II
  };

  int order_, dim_ = 0, sections_;
  double delay_s_ = 0;
  JointArray input_{};
  std::array<Section, (kMaxOrder + 1) / 2> section_{};
};

}  // namespace vla_rt
