#pragma once
#include <array>
#include <cstdint>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// How long the next inference will take, from how long the last ones took.
///
/// The estimate is a quantile of the last `kWindow` latencies, each weighing half of one that is `half_life`
/// inferences younger, so that a stall is allowed for at once and forgotten again. The first inference after
/// construction or `reset` (cold caches, compilation) does not count. A latency never counts for more rows
/// than were really executed meanwhile: what passed while the robot stood or starved is no delay of the plan.
///
/// Real-time: wait-free, no allocation. Thread: one at a time (the worker's).
class VLA_RT_API DelayEstimator {
 public:
  static constexpr int kWindow = 128;

  /// `period_s`: time between rows, finite and > 0; `quantile` in (0, 1]; `half_life` > 0, in inferences.
  /// Throws ConfigError.
  explicit DelayEstimator(double period_s, double quantile = 0.95, double half_life = 20);

  /// One inference: its latency, and how many rows the execution moved on meanwhile (negative: not known). A
  /// latency that is not finite or negative is ignored.
  void add(double latency_s, int moved_rows = -1) noexcept;
  void reset() noexcept;

  /// The estimate [s]; 0 before the second inference.
  [[nodiscard]] double delay_s() const noexcept;
  /// The same in rows, rounded up.
  [[nodiscard]] int delay_rows() const noexcept;
  /// The largest of the last `kWindow` latencies [s]; 0 before the second inference.
  [[nodiscard]] double slowest_s() const noexcept;
  /// Latencies the estimate rests on.
  [[nodiscard]] int count() const noexcept { return count_; }

 private:
  double period_s_, quantile_, fade_;
  bool warm_ = false;
  int count_ = 0, next_ = 0;
  std::array<double, kWindow> latency_s_{};
};

}  // namespace vla_rt
