#pragma once
#include <span>
#include <vector>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Orthonormal DCT-II along time, and its inverse, with the basis computed once.
///
/// Thread: immutable; any number of threads. Real-time: no allocation, bounded work T*T*D.
class VLA_RT_API CosineTransform {
 public:
  static constexpr int kMaxHorizon = 1024;

  /// Basis for T = horizon rows. Throws ConfigError unless 1 <= horizon <= 1024.
  explicit CosineTransform(int horizon);

  [[nodiscard]] int horizon() const noexcept { return horizon_; }

  /// Rows over time (T, D) to coefficients (T, D), row k the k-th frequency. The spans must not overlap.
  void forward(std::span<const double> rows, std::span<double> coefficients) const noexcept;
  /// Coefficients (T, D) to rows (T, D). The spans must not overlap.
  void inverse(std::span<const double> coefficients, std::span<double> rows) const noexcept;

 private:
  int horizon_;
  double scale_;  // 1/sqrt(2T)
  std::vector<double>
      basis_;  // (ceil(T/2), T): for each row of the first half, the weights of all frequencies
};

}  // namespace vla_rt
