#include "vla_rt/execution/chunk_executor.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <string>

#include "execution/counter.hpp"
#include "execution/plan.hpp"
#include "execution/planner.hpp"
#include "execution/rotation_map.hpp"
#include "execution/try_mutex.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/rt/triple_buffer.hpp"

namespace vla_rt {

using execution::Counter;
using execution::difference;
using execution::Fade;
using execution::Motion;
using execution::Plan;
using execution::Planner;
using execution::RotationMap;
using execution::Segment;

namespace {

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
    case PushResult::Invalid:
      return "invalid";
    case PushResult::Busy:
      return "busy";
  }
  return "unknown";
}

struct ChunkExecutor::Impl {
  const ChunkExecutorConfig config;
  const RotationMap rotations;
  const ChunkExecutorConfig inner;  // what the plan works with
  const int D;                      // of the plan
  TripleBuffer<Plan> plans;
  std::atomic<TimeNs> now{kNever}, plan_end{kNever}, due{kNever};

  // The pusher's.
  mutable execution::TryMutex mutex;  // one push at a time, and the seams
  Planner planner;
  std::unique_ptr<ActionChunk> inner_chunk;  // with rotations
  std::uint64_t accepted = 0;
  const Plan* published = nullptr;  // the newest plan: in the buffer's middle or front, so written by nobody

  // The reader's.
  alignas(64) Motion last;  // its last answer
  JointArray given_out{};
  bool given = false;
  std::uint64_t sequence = 0;  // of the chunk that gave it
  std::uint64_t plan_number = 0;
  TimeNs splice_ns = 0;     // of its segment
  bool moving = false;      // that answer is where the robot was told to be
  bool has_origin = false;  // so is the answer before the first chunk
  Fade correction;          // what the plan in hand differs by from the motion that was given out
  Counter queries, late_queries, starved_queries, starved_ns, overtaken;

  explicit Impl(const ChunkExecutorConfig& c)
      : config(validated(c)),
        rotations(config),
        inner(rotations.inner_config()),
        D(inner.action_dim),
        planner(inner, rotations, config.action_dim) {
    if (!rotations.empty()) inner_chunk = std::make_unique<ActionChunk>();
    plans.for_each_slot([&](Plan& plan) { plan.prepare(inner); });
    correction.prepare(D, 1, inner.period_s);
    start_from({});
  }

  void start_from(std::span<const double> position);
  const ActionChunk& inner_of(const ActionChunk& chunk, TimeNs as_of);
  void give_out(std::span<double> position, std::span<double> velocity) noexcept;
  void pick_up(TimeNs previous) noexcept;
  PushResult plan_with(const ActionChunk& chunk, TimeNs as_of, PlanInput* input);
};

void ChunkExecutor::Impl::start_from(std::span<const double> position) {
  const std::vector<double> held = rotations.to_inner(position);  // may throw
  planner.make_origin(held, !position.empty(), plans.back());
  plans.back().number = accepted = plan_number = 0;
  published = &plans.back();
  plans.publish();
  plans.update();
  has_origin = !position.empty();
  now = plan_end = due = kNever;
  given = has_origin;
  std::ranges::copy(position, given_out.begin());
  sequence = 0;
  splice_ns = 0;
  moving = false;
  last = {};
  correction.clear();
  planner.seams.clear();
  for (Counter* counter :
       {&planner.accepted, &planner.dropped_chunks, &planner.dropped_rows, &planner.refused_invalid,
        &planner.refused_future, &planner.superseded, &planner.splices, &queries, &late_queries,
        &starved_queries, &starved_ns, &overtaken})
    counter->clear();
}

// The chunk as the plan sees it, its rotations on the side of the double cover where the plan is.
const ActionChunk& ChunkExecutor::Impl::inner_of(const ActionChunk& chunk, TimeNs as_of) {
  if (rotations.empty()) return chunk;
  rotations.to_inner(chunk, *inner_chunk);
  const Segment& newest = published->segments[static_cast<std::size_t>(published->count - 1)];
  if (newest.origin && !has_origin) return *inner_chunk;
  const TimeNs end = chunk.start_time_ns + planner.rows_ns(chunk.horizon - 1);
  const TimeNs meeting = std::clamp(as_of, chunk.start_time_ns, end);
  Motion there;
  published->evaluate(meeting, inner.discrete_dims, there);
  rotations.align(*inner_chunk, static_cast<int>((meeting - chunk.start_time_ns) / planner.rows_ns(1)),
                  there);
  return *inner_chunk;
}

void ChunkExecutor::Impl::give_out(std::span<double> position, std::span<double> velocity) noexcept {
  const auto size = static_cast<std::size_t>(config.action_dim);
  if (rotations.empty()) {
    std::copy_n(last.q.data(), std::min(position.size(), size), position.data());
    std::copy_n(last.dq.data(), std::min(velocity.size(), size), velocity.data());
    return;
  }
  JointArray q{}, dq{};
  rotations.to_outer(last, given ? given_out.data() : nullptr, q, dq);
  given_out = q;
  given = true;
  std::copy_n(q.data(), std::min(position.size(), size), position.data());
  std::copy_n(dq.data(), std::min(velocity.size(), size), velocity.data());
}

// The pusher planned for the `now` it read. When ticks have passed the splice since, or a correction is under
// way that it did not know of, the new plan does not go through the last answer: fade from there instead.
void ChunkExecutor::Impl::pick_up(TimeNs previous) noexcept {
  if (!moving) return;
  const Plan& plan = plans.front();
  Motion smooth;  // of what is under way
  correction.add_smooth(previous, 1, D, smooth);
  correction.clear();
  const Segment& segment = plan.segments[static_cast<std::size_t>(plan.active(previous))];
  if (!segment.blended && !segment.origin) return;
  Motion planned;
  plan.evaluate(previous, inner.discrete_dims, planned);
  const Motion offset = difference(last, planned, planner.discrete(), D);
  if (offset.is_zero(D)) return;
  // Where the splice was planned, the new fade is what the old one was and the jump of the rows: only what
  // they have changed by since is theirs.
  for (int i = 0; i < plan.count; ++i)
    if (const Segment& old = plan.segments[static_cast<std::size_t>(i)]; old.splice_ns == splice_ns)
      old.fade.add_smooth_change(segment.splice_ns, previous, 1, D, smooth);
  segment.fade.add_smooth_change(segment.splice_ns, previous, -1, D, smooth);
  correction.decay(offset, smooth, segment.seam_noise, D, previous, planner.blend_ns());
  if (segment.splice_ns < previous) overtaken.add(1);
}

ChunkExecutor::ChunkExecutor(const ChunkExecutorConfig& config) : impl_(std::make_unique<Impl>(config)) {}
ChunkExecutor::~ChunkExecutor() = default;

const ChunkExecutorConfig& ChunkExecutor::config() const noexcept { return impl_->config; }

void ChunkExecutor::reset(std::span<const double> position) {
  if (!position.empty() && position.size() != static_cast<std::size_t>(impl_->config.action_dim))
    throw ConfigError("position", std::to_string(position.size()) + " numbers",
                      "must have " + std::to_string(impl_->config.action_dim));
  for (std::size_t d = 0; d < position.size(); ++d)
    if (!std::isfinite(position[d]))
      throw ConfigError(indexed("position", static_cast<long>(d)), number(position[d]), "must be finite");
  const std::lock_guard lock(impl_->mutex);
  impl_->start_from(position);
}

// With the mutex held.
PushResult ChunkExecutor::Impl::plan_with(const ActionChunk& chunk, TimeNs as_of, PlanInput* input) {
  const ActionChunk* planned = nullptr;
  try {
    execution::check_chunk(chunk, config.action_dim, planner.rows_ns(1));
    planned = &inner_of(chunk, as_of);
  } catch (const ConfigError&) {
    planner.refused_invalid.add(1);
    throw;
  }
  Plan& plan = plans.back();
  const PushResult result = planner.make(*planned, as_of, *published, plan);
  if (result == PushResult::Accepted) plan.number = ++accepted;
  if (input != nullptr) *input = {.now = as_of, .number = accepted};
  if (result != PushResult::Accepted) return result;
  published = &plan;
  plans.publish();
  plan_end.store(chunk.start_time_ns + planner.rows_ns(chunk.horizon - 1), std::memory_order_relaxed);
  due.store(chunk.start_time_ns + planner.rows_ns(planner.rows_due(chunk.horizon)),
            std::memory_order_relaxed);
  return result;
}

PushResult ChunkExecutor::push(const ActionChunk& chunk, PlanInput* planned) {
  return push_as_of(chunk, impl_->now.load(std::memory_order_acquire), planned);
}

PushResult ChunkExecutor::push_as_of(const ActionChunk& chunk, TimeNs now, PlanInput* planned) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->plan_with(chunk, now, planned);
}

PushResult ChunkExecutor::try_push(const ActionChunk& chunk, PlanInput* planned) noexcept {
  const std::unique_lock lock(impl_->mutex, std::try_to_lock);
  if (!lock.owns_lock()) return PushResult::Busy;
  try {
    return impl_->plan_with(chunk, impl_->now.load(std::memory_order_acquire), planned);
  } catch (const ConfigError&) {
    return PushResult::Invalid;
  }
}

Status ChunkExecutor::at(TimeNs time, std::span<double> position,
                         std::span<double> velocity) noexcept VLA_RT_NONBLOCKING {
  Impl& e = *impl_;
  time = std::clamp(time, -execution::kLatest, execution::kLatest);
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
  segment.base(time, e.inner.discrete_dims, e.last);
  segment.fade.add(time, e.D, e.last);
  e.correction.add(time, e.D, e.last);
  e.give_out(position, velocity);
  e.sequence = segment.sequence;
  e.plan_number = plan.number;
  e.splice_ns = segment.splice_ns;
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
  const auto outer = static_cast<std::size_t>(e.config.action_dim);
  if (rows < 0 || out.size() != static_cast<std::size_t>(rows) * outer)
    throw ConfigError("out", std::to_string(out.size()), "must hold rows * D numbers");
  const std::lock_guard lock(e.mutex);
  const Plan& plan = *e.published;
  const Segment& newest = plan.segments[static_cast<std::size_t>(plan.count - 1)];
  Motion motion;
  JointArray unused{};
  int within = 0;
  for (int t = 0; t < rows; ++t) {
    const TimeNs time = std::min(start + e.planner.rows_ns(t), newest.end_ns);
    plan.segments[static_cast<std::size_t>(plan.active(time))].base(time, e.inner.discrete_dims, motion);
    const auto row = out.subspan(static_cast<std::size_t>(t) * outer, outer);
    e.rotations.to_outer(motion, t > 0 ? row.data() - outer : nullptr, row, unused);
    if (!newest.origin && start + e.planner.rows_ns(t) <= newest.end_ns + 1) ++within;
  }
  return within;
}

std::uint64_t ChunkExecutor::sequence() const noexcept { return impl_->sequence; }
std::uint64_t ChunkExecutor::plan_number() const noexcept { return impl_->plan_number; }
TimeNs ChunkExecutor::now() const noexcept { return impl_->now.load(std::memory_order_relaxed); }
TimeNs ChunkExecutor::plan_end() const noexcept { return impl_->plan_end.load(std::memory_order_relaxed); }
TimeNs ChunkExecutor::due() const noexcept { return impl_->due.load(std::memory_order_relaxed); }

ExecutorCounters ChunkExecutor::counters() const noexcept {
  const Impl& e = *impl_;
  return {.accepted = e.planner.accepted.get(),
          .dropped_chunks = e.planner.dropped_chunks.get(),
          .dropped_rows = e.planner.dropped_rows.get(),
          .refused_invalid = e.planner.refused_invalid.get(),
          .refused_future = e.planner.refused_future.get(),
          .superseded = e.planner.superseded.get(),
          .splices = e.planner.splices.get(),
          .queries = e.queries.get(),
          .late_queries = e.late_queries.get(),
          .starved_queries = e.starved_queries.get(),
          .starved_ns = e.starved_ns.get(),
          .overtaken = e.overtaken.get()};
}

std::vector<Seam> ChunkExecutor::seams() const { return seams(INT64_MIN); }

std::vector<Seam> ChunkExecutor::seams(TimeNs after) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->planner.seams.later_than(after);
}

}  // namespace vla_rt
