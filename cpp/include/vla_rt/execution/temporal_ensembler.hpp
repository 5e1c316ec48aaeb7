#pragma once
#include <span>
#include <vector>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// ACT's temporal ensembling, one chunk per control step: the action is the mean of all predictions made for
/// this step.
///
/// Weights are exp(-coeff * i), i = 0 the OLDEST prediction, normalised: a positive coeff trusts old
/// predictions more, a negative one new ones, 0 all alike. Computed online with one (T, D) array, which gives
/// the same numbers as keeping all chunks. For chunks that come late or not every step use ChunkExecutor with
/// ExecutionMode::Ensemble.
///
/// Source: Zhao et al. 2023, "Learning Fine-Grained Bimanual Manipulation with Low-Cost Hardware"; the online
/// form is LeRobot's. Real-time: `update` allocates nothing, but throws on bad input. Thread: one at a time.
class VLA_RT_API TemporalEnsembler {
 public:
  /// Throws ConfigError unless 1 <= horizon <= kMaxHorizon, 1 <= action_dim <= kMaxActionDim and coeff is
  /// finite and
  /// >= -2 (below, the weights of long chunks overflow).
  TemporalEnsembler(int horizon, int action_dim, double coeff = 0.01);

  /// Takes the chunk (T, D), row-major, whose row 0 is for this step, and writes this step's action (D).
  /// Throws ConfigError, changing nothing, for wrong sizes or a number that is not finite.
  void update(std::span<const double> chunk, std::span<double> action);
  /// Forgets all chunks.
  void reset() noexcept;

  [[nodiscard]] int horizon() const noexcept { return horizon_; }
  [[nodiscard]] int action_dim() const noexcept { return action_dim_; }
  [[nodiscard]] double coeff() const noexcept { return coeff_; }

 private:
  int horizon_, action_dim_;
  double coeff_;
  int chunks_ = 0;                    // taken so far, at most T
  std::vector<double> weight_, sum_;  // exp(-coeff i) and its running sum
  std::vector<double>
      mean_;  // (T, D): row t is the mean of what was predicted for t steps after the last one
};

}  // namespace vla_rt
