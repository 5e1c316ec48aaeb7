#pragma once
#include <array>
#include <span>
#include <vector>

#include "execution/counter.hpp"
#include "execution/plan.hpp"
#include "execution/rotation_map.hpp"
#include "execution/seam_log.hpp"
#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/execution/chunk_executor.hpp"

namespace vla_rt::execution {

/// Throws ConfigError unless a chunk has this shape and period and numbers that can be planned with.
void check_chunk(const ActionChunk& chunk, int action_dim, TimeNs period_ns);

/// The pusher's half of a ChunkExecutor: makes the next plan from the old one and a chunk. Allocates at
/// construction only.
class Planner {
 public:
  /// `config` is the inner one of `rotations`.
  Planner(const ChunkExecutorConfig& config, const RotationMap& rotations, int outer_dim);

  /// Fills `plan` with the old plan from `present` on and the (checked) chunk. When it is refused, `plan` is
  /// not to be used.
  PushResult make(const ActionChunk& chunk, TimeNs present, const Plan& old, Plan& plan);
  /// A plan that holds `position` (D) and covers nothing; nothing is blended from one that is not `known`.
  void make_origin(std::span<const double> position, bool known, Plan& plan);

  [[nodiscard]] TimeNs rows_ns(int rows) const noexcept { return from_seconds(rows * config_.period_s); }
  /// Rows of a chunk that are executed before the next one is due.
  [[nodiscard]] int rows_due(int horizon) const noexcept;
  [[nodiscard]] const std::array<bool, kMaxActionDim>& discrete() const noexcept { return discrete_; }
  [[nodiscard]] TimeNs blend_ns() const noexcept { return blend_ns_; }

  SeamLog seams;
  Counter accepted, dropped_chunks, dropped_rows, refused_invalid, refused_future, superseded, splices;

 private:
  [[nodiscard]] TimeNs splice_time(TimeNs start, TimeNs present, const Plan& old) const noexcept;
  [[nodiscard]] std::span<const double> merge(const ActionChunk& chunk, const Plan& old,
                                              Segment& next) noexcept;
  void blend(const Motion& from, const Motion& to, const Plan& old, Segment& next) noexcept;
  void prepare_stop(Segment& next) const noexcept;
  void log_seam(const Motion& from, const Motion& to, TimeNs splice) noexcept;

  const ChunkExecutorConfig& config_;
  const RotationMap& rotations_;
  int D_;
  TimeNs blend_ns_;
  double old_weight_, new_weight_;                             // Merge::Average
  std::array<double, kMaxHorizon + 1> ensemble_weight_{};      // exp(-m i)
  std::array<double, kMaxHorizon + 1> ensemble_cumulative_{};  // their sums
  std::array<bool, kMaxActionDim> discrete_{};
  bool has_origin_ = false;     // the reset position is known
  std::vector<double> merged_;  // rows after merging
  CrossFade cross_fade_;
};

}  // namespace vla_rt::execution
