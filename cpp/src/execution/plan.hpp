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

/// Standard deviation of what is noise in rows (T, D): of their fourth differences, in which a motion that is
/// smooth over five rows is nothing. Zeros for fewer rows.
[[nodiscard]] JointArray noise_of(std::span<const double> rows, int horizon, int D) noexcept;
/// Largest velocity and acceleration that such noise makes, per noise, in a plan through rows of this period.
[[nodiscard]] double noise_velocity(double period_s) noexcept;
[[nodiscard]] double noise_acceleration(double period_s) noexcept;

/// a - b, zero in discrete dims.
[[nodiscard]] Motion difference(const Motion& a, const Motion& b,
                                const std::array<bool, kMaxActionDim>& discrete, int D) noexcept;

/// A correction that fades to exactly zero at `end_ns`, added to a curve.
///
/// Velocity and acceleration that are only the noise of rows at a high rate must not be carried through the
/// whole fade: over a hundred rows they would lead a thousand times further than the noise itself. What the
/// rows' roughness explains settles within a few rows, the rest fades with the position.
struct Fade {
  TimeNs start_ns = 0, end_ns = 0;  // empty when end <= start
  TimeNs settled_ns = 0;            // `settling` is added until here
  RowInterpolator curve, settling;
  double period_s = 0;  // of the rows

  static constexpr int kSettlingRows = 5;
  static constexpr int kPieces = 16;  // of a cross-fade; short enough to follow two splines of usual periods

  void prepare(int D, int pieces, double rows_period_s);
  void copy_from(const Fade& other) noexcept;
  void clear() noexcept { start_ns = end_ns = settled_ns = 0; }
  [[nodiscard]] bool active(TimeNs t) const noexcept { return t < end_ns; }
  /// Quintics from `offset` to zero with zero velocity and acceleration. `noise` (D): of one row of old and
  /// new plan together; `smooth`: what of the offset comes from other fades, and so is none.
  void decay(Motion offset, const Motion& smooth, const JointArray& noise, int D, TimeNs start,
             TimeNs duration) noexcept;
  void add(TimeNs t, int D, Motion& out) const noexcept;
  /// Adds velocity and acceleration times `sign`, without what is settling.
  void add_smooth(TimeNs t, double sign, int D, Motion& out) const noexcept;
  /// What the same changes by between two times.
  void add_smooth_change(TimeNs from, TimeNs to, double sign, int D, Motion& out) const noexcept {
    add_smooth(from, -sign, D, out);
    add_smooth(to, sign, D, out);
  }

  /// Sets `settling` to what of `offset` the noise explains, and takes that out of it.
  void settle(Motion& offset, const Motion& smooth, const JointArray& noise, int D, TimeNs start,
              TimeNs duration) noexcept;
};

/// What a cross-fade is made from: old - new where it begins and after each piece. It is (1 - w) (old - new)
/// with the quintic smoothstep w.
class CrossFade {
 public:
  explicit CrossFade(int D);
  /// Sets sample k = 0..kPieces.
  void sample(int k, const Motion& offset) noexcept;
  /// Uses the samples up. `noise` as for Fade::decay.
  void write(const JointArray& noise, TimeNs start, TimeNs duration, Fade& fade) noexcept;

 private:
  // Velocity and acceleration between the ends from the positions: for pieces longer than a row, about which
  // those of one moment say little.
  void smooth(double piece_s) noexcept;
  // Lets what is noise in the first sample settle: nothing that the next samples confirm.
  void settle_first(const JointArray& noise, TimeNs start, TimeNs duration, double piece_s,
                    Fade& fade) noexcept;

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
  JointArray noise{};                                    // of a row, one standard deviation
  JointArray seam_noise{};                               // and of one of the plan before together
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
  std::uint64_t number = 0;  // chunks accepted before it was made, its own included
  std::array<Segment, kMaxSegments> segments;

  void prepare(const ChunkExecutorConfig& config);
  void copy_from(const Plan& other) noexcept;
  /// Index of the segment in charge at `t`.
  [[nodiscard]] int active(TimeNs t) const noexcept;
  void evaluate(TimeNs t, std::span<const int> discrete_dims, Motion& out) const noexcept;
};

}  // namespace vla_rt::execution
