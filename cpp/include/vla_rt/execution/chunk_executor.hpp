#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "vla_rt/action_space/rotation.hpp"
#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/status.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/smoothing/row_interpolator.hpp"

namespace vla_rt {

/// When and how a new chunk takes over from the old one.
enum class ExecutionMode : std::uint8_t {
  Receding,  ///< when `execution_horizon` rows of the old chunk have been executed (diffusion policy)
  Ensemble,  ///< at once; rows are averaged over all chunks that predict them (ACT temporal ensembling)
  Async,     ///< at once; overlapping rows are merged
  Rtc,       ///< at once, without a blend: the chunk already continues the old one (real-time chunking)
};

/// What Async does with rows that both chunks predict.
enum class Merge : std::uint8_t {
  Crossfade,  ///< the old plan fades out over `blend_s` under a quintic smoothstep
  Replace,    ///< the new rows at once; what they jump by decays over `blend_s`
  Average,    ///< the weighted mean of the old plan and the new row, wherever the old plan reaches
};

/// What happens when the plan ends before the next chunk comes.
enum class StarvationPolicy : std::uint8_t {
  Hold,        ///< the last row, at velocity 0 at once
  Decelerate,  ///< goes on from the last velocity and comes to rest within `limits`
};

/// Dims that are one rotation: `first` and those after it, as many as the format has.
struct RotationDims {
  int first = 0;
  RotationFormat format = RotationFormat::Quaternion;  ///< Quaternion, RotationVector or Rotation6d
};

struct ChunkExecutorConfig {
  int action_dim = 0;   ///< D
  double period_s = 0;  ///< time between the rows of a chunk, in (0, 60]
  ExecutionMode mode = ExecutionMode::Receding;
  int execution_horizon =
      0;  ///< rows executed before the next chunk is due; 0 (and in C++ any more than T): all T
  /// Leading rows of every chunk that say where it starts from: planned through, but not counted among the
  /// rows executed.
  int anchor_rows = 0;
  double blend_s = 0.1;  ///< how long a splice is blended, in [0, 60]; 0: not at all
  Interpolation interpolation = Interpolation::Cubic;
  Merge merge = Merge::Crossfade;
  std::array<double, 2> merge_weights{0.3, 0.7};  ///< of old and new (Merge::Average); scaled to a sum of 1
  std::vector<int> discrete_dims;           ///< zero-order hold of the current row, never blended or averaged
  std::vector<RotationDims> rotation_dims;  ///< moved, blended and averaged as rotations
  StarvationPolicy on_starvation = StarvationPolicy::Hold;
  std::optional<JointLimits> limits;  ///< for Decelerate: of the first N dims; dims beyond N must be discrete
  double temporal_ensemble_coeff = 0.01;  ///< m of the weights exp(-m i), i = 0 the oldest (Ensemble)

  /// Throws ConfigError naming field, value and bound.
  VLA_RT_API void validate() const;
};

/// What became of a pushed chunk.
enum class PushResult : std::uint8_t {
  Accepted,
  Past,       ///< dropped: all its rows lie before the time it would take over
  FarFuture,  ///< refused: it starts more than ChunkExecutor::kMaxLead after now
  QueueFull,  ///< refused: more chunks lie ahead than are kept
  Invalid,    ///< `try_push` alone: what `push` throws ConfigError for
  Busy,       ///< `try_push` alone: a reader of the statistics is at work; try again
};
/// "accepted", "past", "far_future", "queue_full", "invalid", "busy".
[[nodiscard]] VLA_RT_API const char* to_string(PushResult result) noexcept;

/// What decides, besides the chunk itself and the plan before, what becomes of a pushed chunk; for
/// recordings.
struct PlanInput {
  TimeNs now = 0;            ///< latest time given to `at`, as far as the pusher knew
  std::uint64_t number = 0;  ///< chunks accepted since the reset, this one included
};

/// The jump |old - new| between two plans at their splice, before any blend (D each). A rotation has it in
/// its first three dims: the rotation vector between the two [rad], angular velocity and acceleration
/// (world).
struct Seam {
  TimeNs time_ns = 0;
  JointArray position{}, velocity{}, acceleration{};
};

/// Counts since the last reset.
struct ExecutorCounters {
  std::int64_t accepted = 0;         ///< chunks that became (part of) the plan
  std::int64_t dropped_chunks = 0;   ///< chunks wholly in the past
  std::int64_t dropped_rows = 0;     ///< rows of accepted chunks that were older than now
  std::int64_t refused_invalid = 0;  ///< chunks of a wrong shape or period, or not finite
  std::int64_t refused_future = 0;   ///< chunks stamped too far ahead, or more than are kept
  std::int64_t superseded = 0;       ///< chunks replaced before their turn came
  std::int64_t splices = 0;          ///< changes from one chunk's plan to another's
  std::int64_t queries = 0;          ///< calls of `at`
  std::int64_t late_queries = 0;     ///< calls of `at` with a time before now, answered for now
  std::int64_t starved_queries = 0;  ///< calls of `at` that no plan covered
  std::int64_t starved_ns = 0;       ///< time spent so
  std::int64_t overtaken = 0;        ///< plans that arrived after their splice time and were spliced anew
};

/// Late, jittery, contradictory chunks in; one continuous motion out.
///
/// `now` is the latest time given to `at`. A pushed chunk takes over at s = max(now, its start) (Receding:
/// not before the old chunk's start + execution_horizon rows). Before s the old plan stands, position and
/// velocity; from s + blend_s on the motion is exactly the new chunk's; between them the difference at s
/// (position, velocity, acceleration) fades to zero together with its first two derivatives. So position,
/// velocity and acceleration are continuous across chunks when the interpolation is Cubic or Quintic and
/// blend_s > 0; the other settings promise the row values and report their seams. Rtc blends only the first
/// chunk and one that ends a starvation. What the noise of the rows (their fourth differences) explains of
/// the jump of velocity and acceleration fades within five rows, so that noisy rows at a high rate are
/// followed without amplifying their noise; chunks of two to seven rows are too short to tell, and all of it
/// does. Rows that are abrupt by intention measure as noise, too; in a cross-fade only what the plans do not
/// confirm around the seam counts as such.
///
/// The newest push wins: a chunk that waits for its turn is dropped when a newer one takes over no later.
/// Rows before now are never executed. When the old plan ends within one period before the next one begins it
/// coasts, so that chunks back to back leave no gap. The first chunk blends from the position given to
/// `reset`, if there is one.
///
/// Rotations (`rotation_dims`) take the short way from row to row and from chunk to chunk, however the format
/// jumps: they are planned as quaternions of one sign and normalised last, so continuity is as above. Answers
/// are unit quaternions without sign changes, orthonormal columns, or the rotation vector (whole turns
/// counted) next to the latest answer, and velocities are the time derivatives of these numbers.
///
/// The pusher computes everything (curves, splice, blend) and hands over through a TripleBuffer; `at` only
/// evaluates. When ticks have passed the splice before the plan is picked up, `at` splices anew where the
/// motion is, in bounded time, so that it stays continuous.
///
/// Real-time: `at` is wait-free and allocates nothing; `push` allocates nothing but may throw and locks
/// against readers of the statistics. Thread: `at` from one thread; `push` and `previous_rows` from any
/// other, one after the other; `reset` while none of them runs; the statistics from any.
class VLA_RT_API ChunkExecutor {
 public:
  /// A chunk that starts later than this after now is refused as a wrong stamp.
  static constexpr TimeNs kMaxLead = 10 * kNsPerSecond;
  /// Splices remembered by `seams`.
  static constexpr int kMaxSeams = 2048;

  /// Throws ConfigError. Allocates everything that is ever needed.
  explicit ChunkExecutor(const ChunkExecutorConfig& config);
  ~ChunkExecutor();
  ChunkExecutor(const ChunkExecutor&) = delete;
  ChunkExecutor& operator=(const ChunkExecutor&) = delete;

  [[nodiscard]] const ChunkExecutorConfig& config() const noexcept;

  /// Forgets plan, time, seams and counters. The answer is then `position` (D) until a chunk begins; empty
  /// means zeros, from which nothing is blended. Throws ConfigError (nothing changes) when it is not finite
  /// or has another size.
  void reset(std::span<const double> position = {});

  /// Plans with a new chunk. Throws ConfigError, changing nothing but the counter, for a wrong action_dim,
  /// horizon or period, or a number that is not finite. Real-time: no (may throw and lock); no allocation.
  /// `planned` is told what decided.
  PushResult push(const ActionChunk& chunk, PlanInput* planned = nullptr);
  /// As `push` when `now` was the latest time given to `at`: what a replay does.
  PushResult push_as_of(const ActionChunk& chunk, TimeNs now, PlanInput* planned = nullptr);
  /// As `push`, for a thread that must not wait or throw; it may be the one of `at`. `planned` is told
  /// nothing when the answer is Invalid or Busy. Real-time: no allocation, does not wait; bounded by the
  /// rows.
  PushResult try_push(const ActionChunk& chunk, PlanInput* planned = nullptr) noexcept;

  /// Position and velocity (D each) at time `now`. Ok, or Starved while no chunk covers it. A time before the
  /// latest one is answered for the latest one, and counted. Before any chunk: the reset position.
  Status at(TimeNs now, std::span<double> position, std::span<double> velocity) noexcept VLA_RT_NONBLOCKING;

  /// Sequence of the chunk that gave the latest answer; 0: none, the reset position. Thread: that of `at`.
  [[nodiscard]] std::uint64_t sequence() const noexcept;
  /// Accepted chunks that the latest answer knew of. Thread: that of `at`.
  [[nodiscard]] std::uint64_t plan_number() const noexcept;

  /// The rows of the present plan at start, start + period, ... (rows * D numbers, row-major), the last one
  /// held: what a new chunk for `start` must continue (RTC). Returns how many of them lie within the plan.
  [[nodiscard]] int previous_rows(TimeNs start, int rows, std::span<double> out) const;

  /// Latest time given to `at`; kNever before the first.
  [[nodiscard]] TimeNs now() const noexcept;
  /// Time of the last row of the newest plan; kNever before the first chunk. Minus `now`: the remaining plan.
  [[nodiscard]] TimeNs plan_end() const noexcept;
  /// When the next chunk is due: start of the newest one + execution_horizon rows (Ensemble: one row); kNever
  /// before the first.
  [[nodiscard]] TimeNs due() const noexcept;
  static constexpr TimeNs kNever = INT64_MIN;

  [[nodiscard]] ExecutorCounters counters() const noexcept;
  /// The latest `kMaxSeams` splices, oldest first. Real-time: no (allocates).
  [[nodiscard]] std::vector<Seam> seams() const;
  /// Those of them later than `after`.
  [[nodiscard]] std::vector<Seam> seams(TimeNs after) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
