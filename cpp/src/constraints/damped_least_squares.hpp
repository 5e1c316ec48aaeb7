#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "vla_rt/core/capacity.hpp"

namespace vla_rt::constraints {

/// Six numbers of a task: linear above angular.
using Task = std::array<double, 6>;

/// Least squares with a task of six rows and bounds on the joints,
///   min |J x - e|^2 / damping + |x - bias|^2,  lo <= x <= hi,
/// solved in the space of the task, so that a joint more costs a column and not a row. The bounds must allow
/// x = 0.
class DampedLeastSquares {
 public:
  explicit DampedLeastSquares(std::size_t n) noexcept : n_(n) { free_.fill(true); }

  /// The Jacobian (6, N), row-major, to be written.
  [[nodiscard]] std::span<double> jacobian() noexcept { return {jacobian_.data(), 6 * n_}; }

  /// Estimate of the smallest singular value of the whole Jacobian, by two steps of inverse iteration that go
  /// on from the last call's vector (Chiaverini 1997). Joints at their bounds count: the estimate is then
  /// continuous in the joint positions, and damping by it does not switch.
  [[nodiscard]] double smallest_singular_value(int steps = 2) noexcept {
    std::fill_n(free_.begin(), n_, true);
    factor(kRounding);
    double value = 0;
    for (int i = 0; i < steps; ++i) {
      weakest_ = solve(weakest_);
      double length = 0;
      for (const double x : weakest_) length += x * x;
      length = std::sqrt(length);
      value = 1 / length;
      for (double& x : weakest_) x /= length;
    }
    return std::sqrt(std::max(0.0, value - kRounding));
  }

  /// Writes the solution to x (N). Primal active set: every iterate is within the bounds and no worse than
  /// the one before, so that ending early is safe. The solution is continuous in all that is given.
  void minimise(const Task& e, double damping, std::span<const double> bias, std::span<const double> lo,
                std::span<const double> hi, std::span<double> x) noexcept {
    std::fill_n(free_.begin(), n_, true);
    std::fill_n(x.begin(), n_, 0.0);
    for (std::size_t round = 0; round < 4 * n_ + 4; ++round) {
      factor(kRounding + damping);
      const Task weight = solve(left(e, bias, x));
      double most = 1, bound = 0;
      std::size_t blocking = n_;
      for (std::size_t j = 0; j < n_; ++j) {
        if (!free_[j]) continue;
        wish_[j] = bias[j] + along(weight, j);
        const double step = wish_[j] - x[j], room = (step > 0 ? hi[j] : lo[j]) - x[j];
        if (std::fabs(step) * most > std::fabs(room)) {
          most = std::fabs(room / step);
          blocking = j;
          bound = step > 0 ? hi[j] : lo[j];
        }
      }
      for (std::size_t j = 0; j < n_; ++j)
        if (free_[j]) x[j] += most * (wish_[j] - x[j]);
      if (blocking < n_) {
        free_[blocking] = false;
        x[blocking] = bound;
      } else if (!release_one(weight, bias, lo, hi, x)) {
        return;
      }
    }
  }

 private:
  static constexpr double kRounding = 1e-12;  // of J J^T [m^2/rad^2]

  [[nodiscard]] double along(const Task& weight, std::size_t j) const noexcept {
    double sum = 0;
    for (std::size_t k = 0; k < 6; ++k) sum += jacobian_[k * n_ + j] * weight[k];
    return sum;
  }

  // What is left of e when the joints at bounds stay there and the others are at their bias.
  [[nodiscard]] Task left(Task e, std::span<const double> bias, std::span<const double> x) const noexcept {
    for (std::size_t j = 0; j < n_; ++j) {
      const double at = free_[j] ? bias[j] : x[j];
      for (std::size_t k = 0; k < 6; ++k) e[k] -= jacobian_[k * n_ + j] * at;
    }
    return e;
  }

  // Lets the joint off its bound that gains most by it. The objective's slope is x - bias - along.
  bool release_one(const Task& weight, std::span<const double> bias, std::span<const double> lo,
                   std::span<const double> hi, std::span<const double> x) noexcept {
    double worst = -1e-12;
    std::size_t inward = n_;
    for (std::size_t j = 0; j < n_; ++j) {
      if (free_[j] || !(lo[j] < hi[j])) continue;
      const double slope = x[j] - bias[j] - along(weight, j), outward = x[j] <= lo[j] ? slope : -slope;
      if (outward < worst) {
        worst = outward;
        inward = j;
      }
    }
    if (inward == n_) return false;
    free_[inward] = true;
    return true;
  }

  // Cholesky factor of J J^T + damping over the free joints; the diagonal is stored inverted.
  void factor(double damping) noexcept {
    std::array<double, 36>& a = factor_;
    for (std::size_t r = 0; r < 6; ++r)
      for (std::size_t c = 0; c <= r; ++c) {
        double sum = r == c ? damping : 0;
        const double* const row = &jacobian_[r * n_];
        const double* const column = &jacobian_[c * n_];
        for (std::size_t j = 0; j < n_; ++j) sum += free_[j] ? row[j] * column[j] : 0;
        a[6 * r + c] = sum;
      }
    for (std::size_t r = 0; r < 6; ++r)
      for (std::size_t c = 0; c <= r; ++c) {
        double sum = a[6 * r + c];
        for (std::size_t k = 0; k < c; ++k) sum -= a[6 * r + k] * a[6 * c + k];
        a[6 * r + c] = r == c ? 1 / std::sqrt(std::max(sum, 0.5 * kRounding)) : sum * a[6 * c + c];
      }
  }

  [[nodiscard]] Task solve(Task b) const noexcept {
    const std::array<double, 36>& l = factor_;
    for (std::size_t r = 0; r < 6; ++r) {
      for (std::size_t k = 0; k < r; ++k) b[r] -= l[6 * r + k] * b[k];
      b[r] *= l[6 * r + r];
    }
    for (std::size_t r = 6; r-- > 0;) {
      for (std::size_t k = r + 1; k < 6; ++k) b[r] -= l[6 * k + r] * b[k];
      b[r] *= l[6 * r + r];
    }
    return b;
  }

  std::size_t n_;
  std::array<double, 6 * kMaxActionDim> jacobian_{};
  std::array<bool, kMaxActionDim> free_{};
  JointArray wish_{};
  std::array<double, 36> factor_{};
  Task weakest_{1, 1, 1, 1, 1, 1};
};

}  // namespace vla_rt::constraints
