#pragma once
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "execution/plan.hpp"
#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/execution/chunk_executor.hpp"

namespace vla_rt::execution {

/// Rotations between the outside, in whatever format, and the plan, which holds unnormalised quaternions.
///
/// Curves through quaternions of one sign, added, faded and averaged like any other numbers and normalised at
/// the very end, are curves on SO(3) as smooth as they were before: no seam of the double cover, no
/// singularity, no chart. Between rows of the same turn they keep its axis, and its rate to (angle/2)^4/384.
class RotationMap {
 public:
  /// `config` is valid.
  explicit RotationMap(const ChunkExecutorConfig& config);

  [[nodiscard]] bool empty() const noexcept { return groups_.empty(); }
  /// What the plan works with: other dims in their order, then four per rotation.
  [[nodiscard]] ChunkExecutorConfig inner_config() const;

  /// Throws ConfigError naming the row when it holds no rotation. Rows of one sign each; the first as given.
  void to_inner(const ActionChunk& outer, ActionChunk& inner) const;
  /// `position` (D) or nothing, which is no rotation at all; throws as above.
  [[nodiscard]] std::vector<double> to_inner(std::span<const double> position) const;
  /// Gives the rotations of all rows the sign that `row` needs to be near `motion`.
  void align(ActionChunk& inner, int row, const Motion& motion) const noexcept;

  /// Position and velocity as the outside knows them; rotation vectors on the branch next to `last`, which is
  /// the latest answer or null.
  void to_outer(const Motion& inner, const double* last, std::span<double> position,
                std::span<double> velocity) const noexcept;
  /// Of every rotation in its first three dims: rotation vector between the two, differences of angular
  /// velocity and acceleration (world).
  [[nodiscard]] Seam jump(const Motion& from, const Motion& to) const noexcept;

 private:
  struct Group {
    RotationDims outer;
    std::size_t inner;
  };

  ChunkExecutorConfig config_;
  std::vector<std::pair<std::size_t, std::size_t>> plain_;  // outer, inner
  std::vector<Group> groups_;
  int inner_dim_;
};

}  // namespace vla_rt::execution
