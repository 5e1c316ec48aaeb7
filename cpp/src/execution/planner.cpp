#include "execution/planner.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt::execution {

Planner::Planner(const ChunkExecutorConfig& config, const RotationMap& rotations, int outer_dim)
    : seams(outer_dim, ChunkExecutor::kMaxSeams),
      config_(config),
      rotations_(rotations),
      D_(config.action_dim),
      blend_ns_(from_seconds(config.blend_s)),
      old_weight_(config.merge_weights[0] / (config.merge_weights[0] + config.merge_weights[1])),
      new_weight_(config.merge_weights[1] / (config.merge_weights[0] + config.merge_weights[1])),
      merged_(static_cast<std::size_t>(kMaxHorizon) * static_cast<std::size_t>(config.action_dim)),
      cross_fade_(config.action_dim) {
  for (const int d : config.discrete_dims) discrete_[static_cast<std::size_t>(d)] = true;
  double sum = 0;
  for (std::size_t i = 0; i < ensemble_weight_.size(); ++i) {
    ensemble_weight_[i] = std::exp(-config.temporal_ensemble_coeff * static_cast<double>(i));
    ensemble_cumulative_[i] = sum += ensemble_weight_[i];
  }
}

int Planner::rows_due(int horizon) const noexcept {
  if (config_.mode == ExecutionMode::Ensemble) return 1;
  const int rows = std::max(1, horizon - config_.anchor_rows);
  return config_.execution_horizon == 0 ? rows : std::min(config_.execution_horizon, rows);
}

void Planner::make_origin(std::span<const double> position, bool known, Plan& plan) {
  std::copy(position.begin(), position.end(), merged_.begin());
  has_origin_ = known;
  plan.count = 1;
  Segment& segment = plan.segments[0];
  segment.rows.fit(std::span<const double>(merged_).first(static_cast<std::size_t>(D_)), 1, config_.period_s);
  segment.splice_ns = segment.start_ns = segment.end_ns = segment.coast_ns = kEarliest;
  segment.sequence = 0;
  segment.origin = true;
  segment.blended = false;
  segment.fade.clear();
  segment.noise = segment.seam_noise = {};
  for (std::size_t d = 0; d < segment.stop.size(); ++d) segment.stop[d] = Stop::at_rest(merged_[d]);
}

constexpr double kStopMean_s = 0.02;

// One row has no velocity; a few say nothing reliable about their noise, and little about the time after
// them.
bool tells_noise(int rows) noexcept { return rows == 1 || rows >= 8; }

// What of x goes beyond +-bound.
double beyond(double x, double bound) noexcept { return x - std::clamp(x, -bound, bound); }

// Larger numbers would overflow in the curves between them.
constexpr double kLargest = 1e100;

void check_chunk(const ActionChunk& chunk, int action_dim, TimeNs period) {
  if (chunk.action_dim != action_dim)
    throw ConfigError("action_dim", std::to_string(chunk.action_dim),
                      "must be " + std::to_string(action_dim));
  if (chunk.horizon < 1 || chunk.horizon > kMaxHorizon)
    throw ConfigError("horizon", std::to_string(chunk.horizon),
                      "must be in 1.." + std::to_string(kMaxHorizon));
  if (chunk.period_ns < period - 1 || chunk.period_ns > period + 1)
    throw ConfigError("period_ns", std::to_string(chunk.period_ns), "must be " + std::to_string(period));
  constexpr TimeNs kBound = kLatest / 2;
  if (chunk.start_time_ns < -kBound || chunk.start_time_ns > kBound)
    throw ConfigError("start_time_ns", std::to_string(chunk.start_time_ns), "must be within +-73 years");
  for (int t = 0; t < chunk.horizon; ++t)
    for (int d = 0; d < action_dim; ++d)
      if (const double x = chunk.row(t)[static_cast<std::size_t>(d)]; !(std::fabs(x) <= kLargest))
        throw ConfigError("chunk[" + std::to_string(t) + "][" + std::to_string(d) + "]", number(x),
                          "must be finite, and at most 1e100");
}

// The rows that become the plan: the chunk's own, or merged with what the old plan has for the same times.
std::span<const double> Planner::merge(const ActionChunk& chunk, const Plan& old, Segment& next) noexcept {
  const std::size_t size = static_cast<std::size_t>(chunk.horizon) * static_cast<std::size_t>(D_);
  const bool ensemble = config_.mode == ExecutionMode::Ensemble;
  const bool average = config_.mode == ExecutionMode::Async && config_.merge == Merge::Average;
  std::fill_n(next.predictions.data(), chunk.horizon, std::uint16_t{1});
  if (!ensemble && !average) return {chunk.values.data(), size};
  Motion before;
  for (int t = 0; t < chunk.horizon; ++t) {
    const TimeNs time = chunk.start_time_ns + rows_ns(t);
    const std::span<const double> row = chunk.row(t);
    double* out = merged_.data() + static_cast<std::size_t>(t) * static_cast<std::size_t>(D_);
    const Segment& segment = old.segments[static_cast<std::size_t>(old.active(time))];
    // Rounding of row times: the old chunk's last row may lie a nanosecond before the new chunk's.
    if (segment.origin || time > segment.end_ns + 1 || time < segment.start_ns - 1) {
      std::copy(row.begin(), row.end(), out);
      continue;
    }
    segment.rows.evaluate(to_seconds(time - segment.start_ns), before.position(D_), before.velocity(D_),
                          before.acceleration(D_));
    double a = old_weight_, b = new_weight_;
    if (ensemble) {
      // LeRobot's online form of ACT's weights: the old value is the mean of n predictions, the oldest
      // weighing most.
      const std::size_t n = segment.predictions[static_cast<std::size_t>(segment.row_at(time))];
      a = ensemble_cumulative_[n - 1] / ensemble_cumulative_[n];
      b = ensemble_weight_[n] / ensemble_cumulative_[n];
      next.predictions[static_cast<std::size_t>(t)] =
          static_cast<std::uint16_t>(std::min<std::size_t>(n + 1, kMaxHorizon));
    }
    for (int d = 0; d < D_; ++d) {
      const std::size_t i = static_cast<std::size_t>(d);
      out[i] = discrete_[i] ? row[i] : a * before.q[i] + b * row[i];
    }
  }
  return {merged_.data(), size};
}

// max(now, start), and for Receding not before the old chunk's rows are executed.
TimeNs Planner::splice_time(TimeNs start, TimeNs present, const Plan& old) const noexcept {
  const TimeNs splice = std::max(present, start);
  if (config_.mode != ExecutionMode::Receding) return splice;
  const Segment& executing = old.segments[static_cast<std::size_t>(old.active(splice))];
  if (executing.origin) return splice;
  return std::max(splice, executing.start_ns + rows_ns(rows_due(executing.rows.horizon())));
}

PushResult Planner::make(const ActionChunk& chunk, TimeNs present, const Plan& old, Plan& plan) {
  const TimeNs start = chunk.start_time_ns, end = start + rows_ns(chunk.horizon - 1);
  if (present != ChunkExecutor::kNever && start > present && start - present > ChunkExecutor::kMaxLead) {
    refused_future.add(1);
    return PushResult::FarFuture;
  }
  const TimeNs splice = splice_time(start, present, old);
  if (end < splice) {
    dropped_chunks.add(1);
    return PushResult::Past;
  }

  // Kept: from the segment in charge now to the last one that begins before the splice.
  const int first = old.active(present);
  int kept = first + 1;
  while (kept < old.count && old.segments[static_cast<std::size_t>(kept)].splice_ns < splice) ++kept;
  if (kept - first >= Plan::kMaxSegments) {
    refused_future.add(1);
    return PushResult::QueueFull;
  }
  plan.count = kept - first;
  for (int i = 0; i < plan.count; ++i)
    plan.segments[static_cast<std::size_t>(i)].copy_from(old.segments[static_cast<std::size_t>(first + i)]);
  Segment& before = plan.segments[static_cast<std::size_t>(plan.count - 1)];
  Segment& next = plan.segments[static_cast<std::size_t>(plan.count)];

  const std::span<const double> rows = merge(chunk, old, next);
  next.rows.fit(rows, chunk.horizon, config_.period_s);
  next.noise = noise_of(rows, chunk.horizon, D_);
  const bool telling = tells_noise(next.rows.horizon()) && tells_noise(before.rows.horizon());
  for (std::size_t d = 0; d < static_cast<std::size_t>(D_); ++d)
    next.seam_noise[d] = telling ? next.noise[d] + before.noise[d] : std::numeric_limits<double>::infinity();
  next.splice_ns = splice;
  next.start_ns = start;
  next.end_ns = next.coast_ns = end;
  next.sequence = chunk.sequence;
  next.origin = false;
  if (!before.origin) {
    const bool gap = splice > before.end_ns && splice <= before.end_ns + rows_ns(1) + 1;
    before.coast_ns = gap && present <= before.coast_ns ? splice : before.end_ns;
  }
  Motion from, to;
  plan.evaluate(splice, config_.discrete_dims, from);
  next.base(splice, config_.discrete_dims, to);
  blend(from, to, plan, next);
  prepare_stop(next);
  ++plan.count;

  // Waiting chunks that this one replaces have no seam.
  superseded.add(old.count - kept);
  while (!seams.empty() && seams.last_time() > present && seams.last_time() >= splice) {
    seams.pop();
    splices.add(-1);
  }
  if (!before.origin) log_seam(from, to, splice);
  if (present > start)
    dropped_rows.add(std::min<std::int64_t>(chunk.horizon, (present - start - 1) / rows_ns(1) + 1));
  accepted.add(1);
  return PushResult::Accepted;
}

// From what `old` does at the splice to what `next` does.
void Planner::blend(const Motion& from, const Motion& to, const Plan& old, Segment& next) noexcept {
  const Segment& before = old.segments[static_cast<std::size_t>(old.count - 1)];
  next.fade.clear();
  next.blended =
      blend_ns_ > 0 &&
      (before.origin ? has_origin_ : config_.mode != ExecutionMode::Rtc || !before.covers(next.splice_ns));
  if (!next.blended) return;
  // A cross-fade needs the old plan to go on under it, without a fade of its own that has just begun: one
  // product of smoothsteps on top of another soon becomes too steep. The decay has no memory and stays tame
  // however often it is restarted (its poles are a Bessel filter's).
  const bool fading =
      before.fade.active(next.splice_ns) && next.splice_ns < before.fade.start_ns + blend_ns_ / 2;
  if (config_.merge == Merge::Replace || before.origin || fading ||
      before.end_ns < next.splice_ns + blend_ns_) {
    Motion smooth;
    before.fade.add_smooth(next.splice_ns, 1, D_, smooth);
    next.fade.decay(difference(from, to, discrete_, D_), smooth, next.seam_noise, D_, next.splice_ns,
                    blend_ns_);
    return;
  }
  Motion old_motion, new_motion;
  for (int k = 0; k <= Fade::kPieces; ++k) {
    const TimeNs time = next.splice_ns + blend_ns_ * k / Fade::kPieces;
    old.evaluate(time, config_.discrete_dims, old_motion);
    next.base(time, config_.discrete_dims, new_motion);
    cross_fade_.sample(k, difference(old_motion, new_motion, discrete_, D_));
  }
  cross_fade_.write(next.seam_noise, next.splice_ns, blend_ns_, next.fade);
}

// From the last velocity, or where the noise of the rows may have made it, from the mean one of the last
// rows.
void Planner::prepare_stop(Segment& next) const noexcept {
  if (next.stop.empty()) return;
  Motion end;
  next.base(next.end_ns, config_.discrete_dims, end);
  const int last = next.rows.horizon() - 1;
  const int rows = std::min(last, std::max(1, static_cast<int>(kStopMean_s / config_.period_s)));
  const std::span<const double> before = next.rows.row(last - rows);
  const double velocity = noise_velocity(config_.period_s),
               acceleration = noise_acceleration(config_.period_s);
  for (std::size_t d = 0; d < static_cast<std::size_t>(D_); ++d) {
    if (discrete_[d]) {
      next.stop[d] = Stop::at_rest(end.q[d]);
      continue;
    }
    const double mean = rows > 0 ? (end.q[d] - before[d]) / (rows * config_.period_s) : 0;
    const double v = mean + beyond(end.dq[d] - mean, velocity * next.noise[d]);
    next.stop[d] =
        Stop::plan(end.q[d], v, beyond(end.ddq[d], acceleration * next.noise[d]), *config_.limits, d);
  }
}

void Planner::log_seam(const Motion& from, const Motion& to, TimeNs splice) noexcept {
  Seam seam = rotations_.jump(from, to);
  seam.time_ns = splice;
  seams.add(seam);
  splices.add(1);
}

}  // namespace vla_rt::execution
