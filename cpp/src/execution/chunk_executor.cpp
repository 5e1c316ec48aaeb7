#include "vla_rt/execution/chunk_executor.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <string>

#include "execution/plan.hpp"
#include "execution/seam_log.hpp"
#include "execution/stop.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/rt/triple_buffer.hpp"

namespace vla_rt {

using execution::Fade;
using execution::Motion;
using execution::Plan;
using execution::Segment;

namespace {

/// A count with one writer at a time and any number of readers.
class Counter {
 public:
  void add(std::int64_t n) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void clear() noexcept { value_.store(0, std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

const ChunkExecutorConfig& validated(const ChunkExecutorConfig& config) {
  config.validate();
  return config;
}

}  // namespace

const char* to_string(PushResult result) noexcept {
  switch (result) {
    case PushResult::Accepted:
      return "accepted";
    case PushResult::Past:
      return "past";
    case PushResult::FarFuture:
      return "far_future";
    case PushResult::QueueFull:
      return "queue_full";
  }
  return "unknown";
}

struct ChunkExecutor::Impl {
  const ChunkExecutorConfig config;
  const int D;
  const TimeNs blend_ns;
  const double old_weight, new_weight;                        // Merge::Average
  std::array<double, kMaxHorizon + 1> ensemble_weight{};      // exp(-m i)
  std::array<double, kMaxHorizon + 1> ensemble_cumulative{};  // their sums
  std::array<bool, kMaxActionDim> discrete{};

  TripleBuffer<Plan> plans;
  std::atomic<TimeNs> now{kNever}, plan_end{kNever}, due{kNever};

  // The pusher's.
  mutable std::mutex mutex;         // one push at a time, and the seams
  const Plan* published = nullptr;  // the newest plan: in the buffer's middle or front, so written by nobody
  bool has_origin = false;          // the reset position is known
  std::vector<double> merged;       // rows after merging
  execution::CrossFade cross_fade;
  execution::SeamLog seams;
  Counter accepted, dropped_chunks, dropped_rows, refused_invalid, refused_future, superseded, splices;

  // The reader's.
  alignas(64) Motion last;  // its last answer
  bool moving = false;      // that answer is where the robot was told to be
  Fade correction;          // what the plan in hand differs by from the motion that was given out
  Counter queries, late_queries, starved_queries, starved_ns, overtaken;

  explicit Impl(const ChunkExecutorConfig& c)
      : config(validated(c)),
        D(c.action_dim),
        blend_ns(from_seconds(c.blend_s)),
        old_weight(c.merge_weights[0] / (c.merge_weights[0] + c.merge_weights[1])),
        new_weight(c.merge_weights[1] / (c.merge_weights[0] + c.merge_weights[1])),
        merged(static_cast<std::size_t>(kMaxHorizon) * static_cast<std::size_t>(c.action_dim)),
        cross_fade(c.action_dim),
        seams(c.action_dim, kMaxSeams) {
    for (const int d : config.discrete_dims) discrete[static_cast<std::size_t>(d)] = true;
    double sum = 0;
    for (std::size_t i = 0; i < ensemble_weight.size(); ++i) {
      ensemble_weight[i] = std::exp(-config.temporal_ensemble_coeff * static_cast<double>(i));
      ensemble_cumulative[i] = sum += ensemble_weight[i];
    }
    plans.for_each_slot([&](Plan& plan) { plan.prepare(config); });
    correction.prepare(D, 1);
    start_from({});
  }

  [[nodiscard]] TimeNs rows_ns(int rows) const noexcept { return from_seconds(rows * config.period_s); }
  [[nodiscard]] int rows_due(int horizon) const noexcept {
    if (config.mode == ExecutionMode::Ensemble) return 1;
    return config.execution_horizon == 0 ? horizon : std::min(config.execution_horizon, horizon);
  }

  void start_from(std::span<const double> position) {
    std::vector<double> origin(static_cast<std::size_t>(D), 0.0);
    std::copy(position.begin(), position.end(), origin.begin());
    Plan& plan = plans.back();
    plan.count = 1;
    Segment& segment = plan.segments[0];
    segment.rows.fit(origin, 1, config.period_s);
    segment.splice_ns = segment.start_ns = segment.end_ns = segment.coast_ns = kNever;
    segment.origin = true;
    segment.blended = false;
    segment.fade.clear();
    published = &plan;
    plans.publish();
    plans.update();
    has_origin = !position.empty();
    now.store(kNever);
    plan_end.store(kNever);
    due.store(kNever);
    moving = false;
    last = {};
    correction.clear();
    seams.clear();
    for (Counter* counter :
         {&accepted, &dropped_chunks, &dropped_rows, &refused_invalid, &refused_future, &superseded, &splices,
          &queries, &late_queries, &starved_queries, &starved_ns, &overtaken})
      counter->clear();
  }

  void check(const ActionChunk& chunk) const;
  PushResult plan(const ActionChunk& chunk);
  std::span<const double> merge(const ActionChunk& chunk, const Plan& old, Segment& next) noexcept;
  void fade_across(const Plan& old, Segment& next) noexcept;
  void pick_up(TimeNs previous) noexcept;
};

void ChunkExecutor::Impl::check(const ActionChunk& chunk) const {
  if (chunk.action_dim != D)
    throw ConfigError("action_dim", std::to_string(chunk.action_dim), "must be " + std::to_string(D));
  if (chunk.horizon < 1 || chunk.horizon > kMaxHorizon)
    throw ConfigError("horizon", std::to_string(chunk.horizon),
                      "must be in 1.." + std::to_string(kMaxHorizon));
  const TimeNs period = rows_ns(1);
  if (chunk.period_ns < period - 1 || chunk.period_ns > period + 1)
    throw ConfigError("period_ns", std::to_string(chunk.period_ns), "must be " + std::to_string(period));
  constexpr TimeNs kLatest = INT64_MAX / 4;
  if (chunk.start_time_ns < -kLatest || chunk.start_time_ns > kLatest)
    throw ConfigError("start_time_ns", std::to_string(chunk.start_time_ns), "must be within +-73 years");
  for (int t = 0; t < chunk.horizon; ++t)
    for (int d = 0; d < D; ++d)
      if (const double x = chunk.row(t)[static_cast<std::size_t>(d)]; !std::isfinite(x))
        throw ConfigError("chunk[" + std::to_string(t) + "][" + std::to_string(d) + "]", number(x),
                          "must be finite");
}

// The rows that become the plan: the chunk's own, or merged with what the old plan has for the same times.
std::span<const double> ChunkExecutor::Impl::merge(const ActionChunk& chunk, const Plan& old,
                                                   Segment& next) noexcept {
  const std::size_t size = static_cast<std::size_t>(chunk.horizon) * static_cast<std::size_t>(D);
  const bool ensemble = config.mode == ExecutionMode::Ensemble;
  const bool average = config.mode == ExecutionMode::Async && config.merge == Merge::Average;
  std::fill_n(next.predictions.data(), chunk.horizon, std::uint16_t{1});
  if (!ensemble && !average) return {chunk.values.data(), size};
  Motion before;
  for (int t = 0; t < chunk.horizon; ++t) {
    const TimeNs time = chunk.start_time_ns + rows_ns(t);
    const std::span<const double> row = chunk.row(t);
    double* out = merged.data() + static_cast<std::size_t>(t) * static_cast<std::size_t>(D);
    const Segment& segment = old.segments[static_cast<std::size_t>(old.active(time))];
    // Rounding of row times: the old chunk's last row may lie a nanosecond before the new chunk's.
    if (segment.origin || time > segment.end_ns + 1 || time < segment.start_ns - 1) {
      std::copy(row.begin(), row.end(), out);
      continue;
    }
    segment.rows.evaluate(to_seconds(time - segment.start_ns), before.position(D), before.velocity(D),
                          before.acceleration(D));
    double a = old_weight, b = new_weight;
    if (ensemble) {
      // LeRobot's online form of ACT's weights: the old value is the mean of n predictions, the oldest
      // weighing most.
      const std::size_t n = segment.predictions[static_cast<std::size_t>(segment.row_at(time))];
      a = ensemble_cumulative[n - 1] / ensemble_cumulative[n];
      b = ensemble_weight[n] / ensemble_cumulative[n];
      next.predictions[static_cast<std::size_t>(t)] =
          static_cast<std::uint16_t>(std::min<std::size_t>(n + 1, kMaxHorizon));
    }
    for (int d = 0; d < D; ++d) {
      const std::size_t i = static_cast<std::size_t>(d);
      out[i] = discrete[i] ? row[i] : a * before.q[i] + b * row[i];
    }
  }
  return {merged.data(), size};
}

PushResult ChunkExecutor::Impl::plan(const ActionChunk& chunk) {
  const Plan& old = *published;
  const TimeNs present = now.load(std::memory_order_acquire);
  const TimeNs start = chunk.start_time_ns, end = start + rows_ns(chunk.horizon - 1);
  if (present != kNever && start > present && start - present > kMaxLead) {
    refused_future.add(1);
    return PushResult::FarFuture;
  }
  TimeNs splice = std::max(present, start);
  if (config.mode == ExecutionMode::Receding) {
    const Segment& executing = old.segments[static_cast<std::size_t>(old.active(splice))];
    if (!executing.origin)
      splice = std::max(splice, executing.start_ns + rows_ns(rows_due(executing.rows.horizon())));
  }
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
  Plan& plan = plans.back();
  plan.count = kept - first;
  for (int i = 0; i < plan.count; ++i)
    plan.segments[static_cast<std::size_t>(i)].copy_from(old.segments[static_cast<std::size_t>(first + i)]);
  Segment& before = plan.segments[static_cast<std::size_t>(plan.count - 1)];
  Segment& next = plan.segments[static_cast<std::size_t>(plan.count)];

  next.rows.fit(merge(chunk, old, next), chunk.horizon, config.period_s);
  next.splice_ns = splice;
  next.start_ns = start;
  next.end_ns = next.coast_ns = end;
  next.origin = false;
  if (!before.origin) {
    const bool gap = splice > before.end_ns && splice <= before.end_ns + rows_ns(1) + 1;
    before.coast_ns = gap && present <= before.coast_ns ? splice : before.end_ns;
  }

  Motion from, to, offset;
  plan.evaluate(splice, config.discrete_dims, from);
  next.base(splice, config.discrete_dims, to);
  for (std::size_t d = 0; d < static_cast<std::size_t>(D); ++d) {
    if (discrete[d]) continue;
    offset.q[d] = from.q[d] - to.q[d];
    offset.dq[d] = from.dq[d] - to.dq[d];
    offset.ddq[d] = from.ddq[d] - to.ddq[d];
  }
  next.blended = blend_ns > 0 &&
                 (before.origin ? has_origin : config.mode != ExecutionMode::Rtc || !before.covers(splice));
  next.fade.clear();
  if (next.blended) {
    // A cross-fade needs the old plan to go on under it, without a fade of its own that has just begun: one
    // product of smoothsteps on top of another soon becomes too steep. The decay has no memory and stays tame
    // however often it is restarted (its poles are a Bessel filter's).
    const bool fading = before.fade.active(splice) && splice < before.fade.start_ns + blend_ns / 2;
    if (config.merge != Merge::Replace && !before.origin && !fading && before.end_ns >= splice + blend_ns)
      fade_across(plan, next);
    else
      next.fade.decay(offset, D, splice, blend_ns);
  }
  if (!next.stop.empty()) {
    Motion at_end;
    next.base(end, config.discrete_dims, at_end);
    for (std::size_t d = 0; d < static_cast<std::size_t>(D); ++d)
      next.stop[d] = discrete[d]
                         ? execution::Stop::at_rest(at_end.q[d])
                         : execution::Stop::plan(at_end.q[d], at_end.dq[d], at_end.ddq[d], *config.limits, d);
  }
  ++plan.count;

  // Waiting chunks that this one replaces have no seam.
  superseded.add(old.count - kept);
  while (!seams.empty() && seams.last_time() > present && seams.last_time() >= splice) {
    seams.pop();
    splices.add(-1);
  }
  if (!before.origin) {
    Seam seam;
    seam.time_ns = splice;
    for (std::size_t d = 0; d < static_cast<std::size_t>(D); ++d) {
      seam.position[d] = std::fabs(from.q[d] - to.q[d]);
      seam.velocity[d] = std::fabs(from.dq[d] - to.dq[d]);
      seam.acceleration[d] = std::fabs(from.ddq[d] - to.ddq[d]);
    }
    seams.add(seam);
    splices.add(1);
  }
  if (present > start)
    dropped_rows.add(std::min<std::int64_t>(chunk.horizon, (present - start - 1) / rows_ns(1) + 1));
  accepted.add(1);
  published = &plan;
  plans.publish();
  plan_end.store(end, std::memory_order_relaxed);
  due.store(start + rows_ns(rows_due(chunk.horizon)), std::memory_order_relaxed);
  return PushResult::Accepted;
}

void ChunkExecutor::Impl::fade_across(const Plan& old, Segment& next) noexcept {
  Motion from, to;
  for (int k = 0; k <= Fade::kPieces; ++k) {
    const TimeNs time = next.splice_ns + blend_ns * k / Fade::kPieces;
    old.evaluate(time, config.discrete_dims, from);
    next.base(time, config.discrete_dims, to);
    cross_fade.sample(k, from, to, discrete, to_seconds(blend_ns));
  }
  cross_fade.write(next.splice_ns, blend_ns, next.fade);
}

// The pusher planned for the `now` it read. When ticks have passed the splice since, or a correction is under
// way that it did not know of, the new plan does not go through the last answer: fade from there instead.
void ChunkExecutor::Impl::pick_up(TimeNs previous) noexcept {
  if (!moving) return;
  const Plan& plan = plans.front();
  correction.clear();
  const Segment& segment = plan.segments[static_cast<std::size_t>(plan.active(previous))];
  if (!segment.blended && !segment.origin) return;
  Motion planned, offset;
  plan.evaluate(previous, config.discrete_dims, planned);
  bool differs = false;
  for (std::size_t d = 0; d < static_cast<std::size_t>(D); ++d) {
    if (discrete[d]) continue;
    offset.q[d] = last.q[d] - planned.q[d];
    offset.dq[d] = last.dq[d] - planned.dq[d];
    offset.ddq[d] = last.ddq[d] - planned.ddq[d];
    differs |= offset.q[d] != 0 || offset.dq[d] != 0 || offset.ddq[d] != 0;
  }
  if (!differs) return;
  correction.decay(offset, D, previous, blend_ns);
  if (segment.splice_ns < previous) overtaken.add(1);
}

ChunkExecutor::ChunkExecutor(const ChunkExecutorConfig& config) : impl_(std::make_unique<Impl>(config)) {}
ChunkExecutor::~ChunkExecutor() = default;

const ChunkExecutorConfig& ChunkExecutor::config() const noexcept { return impl_->config; }

void ChunkExecutor::reset(std::span<const double> position) {
  if (!position.empty() && position.size() != static_cast<std::size_t>(impl_->D))
    throw ConfigError("position", std::to_string(position.size()) + " numbers",
                      "must have " + std::to_string(impl_->D));
  for (std::size_t d = 0; d < position.size(); ++d)
    if (!std::isfinite(position[d]))
      throw ConfigError(indexed("position", static_cast<long>(d)), number(position[d]), "must be finite");
  const std::lock_guard lock(impl_->mutex);
  impl_->start_from(position);
}

PushResult ChunkExecutor::push(const ActionChunk& chunk) {
  const std::lock_guard lock(impl_->mutex);
  try {
    impl_->check(chunk);
  } catch (const ConfigError&) {
    impl_->refused_invalid.add(1);
    throw;
  }
  return impl_->plan(chunk);
}

Status ChunkExecutor::at(TimeNs time, std::span<double> position,
                         std::span<double> velocity) noexcept VLA_RT_NONBLOCKING {
  Impl& e = *impl_;
  const TimeNs previous = e.now.load(std::memory_order_relaxed);
  e.queries.add(1);
  if (time < previous) {
    e.late_queries.add(1);
    time = previous;
  }
  if (e.plans.update()) e.pick_up(previous);
  // Only now, and as a release: a pusher that reads this time drops the segments that end before it, so its
  // plan must not be the one just picked up, which has to go through the answer for `previous`.
  e.now.store(time, std::memory_order_release);

  const Plan& plan = e.plans.front();
  const Segment& segment = plan.segments[static_cast<std::size_t>(plan.active(time))];
  segment.base(time, e.config.discrete_dims, e.last);
  segment.fade.add(time, e.D, e.last);
  e.correction.add(time, e.D, e.last);
  std::copy_n(e.last.q.data(), std::min(position.size(), static_cast<std::size_t>(e.D)), position.data());
  std::copy_n(e.last.dq.data(), std::min(velocity.size(), static_cast<std::size_t>(e.D)), velocity.data());
  e.moving = !segment.origin || e.has_origin;
  if (segment.covers(time)) return Status::Ok;
  if (!segment.origin) {
    e.starved_queries.add(1);
    if (previous != kNever) e.starved_ns.add(time - previous);
  }
  return Status::Starved;
}

int ChunkExecutor::previous_rows(TimeNs start, int rows, std::span<double> out) const {
  const Impl& e = *impl_;
  if (rows < 0 || out.size() != static_cast<std::size_t>(rows) * static_cast<std::size_t>(e.D))
    throw ConfigError("out", std::to_string(out.size()), "must hold rows * D numbers");
  const std::lock_guard lock(e.mutex);
  const Plan& plan = *e.published;
  const Segment& newest = plan.segments[static_cast<std::size_t>(plan.count - 1)];
  Motion motion;
  int within = 0;
  for (int t = 0; t < rows; ++t) {
    const TimeNs time = std::min(start + e.rows_ns(t), newest.end_ns);
    plan.segments[static_cast<std::size_t>(plan.active(time))].base(time, e.config.discrete_dims, motion);
    std::copy_n(motion.q.data(), e.D,
                out.data() + static_cast<std::size_t>(t) * static_cast<std::size_t>(e.D));
    if (!newest.origin && start + e.rows_ns(t) <= newest.end_ns + 1) ++within;
  }
  return within;
}

TimeNs ChunkExecutor::now() const noexcept { return impl_->now.load(std::memory_order_relaxed); }
TimeNs ChunkExecutor::plan_end() const noexcept { return impl_->plan_end.load(std::memory_order_relaxed); }
TimeNs ChunkExecutor::due() const noexcept { return impl_->due.load(std::memory_order_relaxed); }

ExecutorCounters ChunkExecutor::counters() const noexcept {
  const Impl& e = *impl_;
  return {.accepted = e.accepted.get(),
          .dropped_chunks = e.dropped_chunks.get(),
          .dropped_rows = e.dropped_rows.get(),
          .refused_invalid = e.refused_invalid.get(),
          .refused_future = e.refused_future.get(),
          .superseded = e.superseded.get(),
          .splices = e.splices.get(),
          .queries = e.queries.get(),
          .late_queries = e.late_queries.get(),
          .starved_queries = e.starved_queries.get(),
          .starved_ns = e.starved_ns.get(),
          .overtaken = e.overtaken.get()};
}

std::vector<Seam> ChunkExecutor::seams() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->seams.to_vector();
}

}  // namespace vla_rt
