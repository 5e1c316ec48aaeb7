#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "execution/stop.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/execution/chunk_executor.hpp"
#include "vla_rt/smoothing/row_interpolator.hpp"

// What the pusher hands to the reader: a few chunks' curves in the order in which they take over, ready to
// evaluate.

namespace vla_rt::execution {

/// Times beyond these are taken as these, so that differences of two do not overflow.
inline constexpr TimeNs kLatest = INT64_MAX / 2, kEarliest = -kLatest;

/// Position, velocity and acceleration of all dims.
struct Motion {
  JointArray q{}, dq{}, ddq{};
  [[nodiscard]] std::span<double> position(int D) noexcept { return {q.data(), static_cast<std::size_t>(D)}; }
  [[nodiscard]] std::span<double> velocity(int D) noexcept {
    return {dq.data(), static_cast<std::size_t>(D)};
  }
  [[nodiscard]] std::span<double> acceleration(int D) noexcept {
    return {ddq.data(), static_cast<std::size_t>(D)};
  }
  [[nodiscard]] bool is_zero(int D) const noexcept;
};

/// a - b, zero in discrete dims.
[[nodiscard]] Motion difference(const Motion& a, const Motion& b,
                                const std::array<bool, kMaxActionDim>& discrete, int D) noexcept;

/// A correction that fades to exactly zero at `end_ns`, added to a curve.
struct Fade {
  TimeNs start_ns = 0, end_ns = 0;  // empty when end <= start
  RowInterpolator curve;

  static constexpr int kPieces = 16;  // of a cross-fade; short enough to follow two splines of usual periods

  void prepare(int D, int pieces);
  void copy_from(const Fade& other) noexcept;
  void clear() noexcept { start_ns = end_ns = 0; }
  [[nodiscard]] bool active(TimeNs t) const noexcept { return t < end_ns; }
  /// The quintic from `offset` to zero with zero velocity and acceleration.
  void decay(const Motion& offset, int D, TimeNs start, TimeNs duration) noexcept;
  void add(TimeNs t, int D, Motion& out) const noexcept;
};

/// The samples a cross-fade is made from: (1 - w) (old - new) with the quintic smoothstep w, where it begins
/// and after each piece.
class CrossFade {
 public:
  explicit CrossFade(int D);
  /// Sets sample k = 0..kPieces from old - new at its time, `duration_s` being that of the whole fade.
  void sample(int k, const Motion& offset, double duration_s) noexcept;
  void write(TimeNs start, TimeNs duration, Fade& fade) const noexcept;

 private:
  std::size_t D_;
  std::vector<double> q_, dq_, ddq_;
};

/// One chunk's part of the plan, from `splice_ns` until the next one's.
struct Segment {
  TimeNs splice_ns = 0;
  TimeNs start_ns = 0;         // of row 0
  TimeNs end_ns = 0;           // of the last row
  TimeNs coast_ns = 0;         // goes on with constant acceleration until here; end_ns when it does not
  std::uint64_t sequence = 0;  // of the chunk
  bool origin = false;         // the reset position rather than a chunk: covers nothing
  bool blended = false;        // the motion is continuous at the splice
  RowInterpolator rows;
  std::array<std::uint16_t, kMaxHorizon> predictions{};  // chunks averaged in each row (Ensemble)
  Fade fade;
  std::vector<Stop> stop;  // (D) with Decelerate, else empty

  void copy_from(const Segment& other) noexcept;
  /// The curve without fade: rows, coasting, then hold or stop. Discrete dims hold the current row.
  void base(TimeNs t, std::span<const int> discrete_dims, Motion& out) const noexcept;
  /// False when no row reaches `t`.
  [[nodiscard]] bool covers(TimeNs t) const noexcept { return !origin && t <= coast_ns; }
  /// Row whose turn it is at `t` (zero-order hold), within the rows.
  [[nodiscard]] int row_at(TimeNs t) const noexcept;
};

struct Plan {
  static constexpr int kMaxSegments = 5;

  int count = 0;
  std::array<Segment, kMaxSegments> segments;

  void prepare(const ChunkExecutorConfig& config);
  void copy_from(const Plan& other) noexcept;
  /// Index of the segment in charge at `t`.
  [[nodiscard]] int active(TimeNs t) const noexcept;
  void evaluate(TimeNs t, std::span<const int> discrete_dims, Motion& out) const noexcept;
};

}  // namespace vla_rt::execution
