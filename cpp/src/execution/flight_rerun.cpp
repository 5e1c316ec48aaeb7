#include "execution/flight_rerun.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "vla_rt/core/errors.hpp"

namespace vla_rt::execution {
namespace {

constexpr TimeNs kNever = INT64_MAX;

}  // namespace

FlightRerun::FlightRerun(const FlightSetup& setup, const Chunks& chunks, FlightEvents* events)
    : setup_(setup),
      chunks_(chunks),
      n_(static_cast<std::size_t>(setup.limits.num_joints)),
      blend_ns_(from_seconds(setup.executor.blend_s)),
      events_(events),
      enforcer_known_(setup.part == 0) {
  const std::span<const double> start{setup.start_position.data(), n_};
  try {
    if (!setup.has_tool_actions) {
      executor_.emplace(setup.executor);
      executor_->reset(setup.part == 0 ? start : std::span<const double>());
    }
    if (!setup.has_surroundings) {
      enforcer_.emplace(setup.limits, setup.period_s, setup.enforcer);
      enforcer_->reset(start);
    }
  } catch (const ConfigError& error) {
    throw FormatError(error.name(), error.value(), error.bound());
  }
}

TimeNs FlightRerun::longest_ns() const noexcept {
  TimeNs longest = 0;
  for (const auto& c : chunks_)
    if (c)
      longest =
          std::max(longest, std::clamp<TimeNs>(c->chunk.period_ns, 0, 60 * kNsPerSecond) * c->chunk.horizon);
  return longest;
}

bool FlightRerun::tick(const FlightTick& tick, const EnforcerSnapshot* after) {
  ++result_.ticks;
  find_gap(tick);
  const bool good = rerun_executor(tick);
  return rerun_enforcer(tick, after) && good;
}

// A motion that the plan in hand does not explain has faded by then.
void FlightRerun::doubt_fade(TimeNs from) noexcept {
  if (executor_from_ != kNever) executor_from_ = std::max(executor_from_, from + blend_ns_);
}

// A chunk is unknown. With Receding, when a chunk takes over depends on the one before it, and so on back:
// only a takeover that was recorded tells. What is averaged keeps a trace of it for good. Else the next chunk
// makes the plan known again, once the rows of both are over; until it comes the unknown one may be held.
void FlightRerun::doubt_plan() noexcept {
  const ChunkExecutorConfig& plan = setup_.executor;
  const bool averages = plan.mode == ExecutionMode::Ensemble ||
                        (plan.mode == ExecutionMode::Async && plan.merge == Merge::Average);
  if (averages || plan.mode == ExecutionMode::Receding)
    executor_from_ = kNever;
  else
    plan_known_ = false;
}

void FlightRerun::find_gap(const FlightTick& tick) {
  const std::uint64_t number = tick.head.tick;
  if (!begun_ && setup_.part != 0) {
    next_tick_ = number;
    const auto first =
        std::ranges::find(chunks_, PushResult::Accepted, [](const auto& c) { return c->result; });
    applied_ = first == chunks_.end() ? tick.head.plan_number : (*first)->planned.number - 1;
    doubt_plan();
  }
  begun_ = true;
  if (number != next_tick_) {
    ++result_.gaps;
    result_.missing_ticks += number - next_tick_;
    enforcer_known_ = false;
    last_sequence_ = 0;
    doubt_fade(tick.head.plan_ns);
  }
  next_tick_ = number + 1;
}

void FlightRerun::push(const FlightChunk& record) {
  try {
    (void)executor_->push_as_of(record.chunk, record.planned.now);
  } catch (const ConfigError& error) {
    throw FormatError("chunk " + std::to_string(record.chunk.sequence) + ": " + error.name(), error.value(),
                      error.bound());
  }
}

void FlightRerun::push_chunks(const FlightTick& tick) {
  for (; next_chunk_ < chunks_.size(); ++next_chunk_) {
    const FlightChunk& record = *chunks_[next_chunk_];
    if (record.result != PushResult::Accepted) continue;
    if (record.planned.number > tick.head.plan_number) break;
    if (record.planned.number != applied_ + 1) {
      result_.missing_chunks += record.planned.number - applied_ - 1;
      doubt_plan();
    }
    applied_ = record.planned.number;
    push(record);
    if (std::exchange(plan_known_, true)) continue;
    if (executor_from_ != kNever)
      executor_from_ = std::max(executor_from_, tick.head.plan_ns + 2 * longest_ns() + blend_ns_);
  }
  if (applied_ == tick.head.plan_number) return;
  result_.missing_chunks += tick.head.plan_number - applied_;
  applied_ = tick.head.plan_number;
  doubt_plan();
}

// From the tick on in which a chunk that is there took over, the plan is that chunk and those after it.
void FlightRerun::find_takeover(const FlightTick& tick) {
  const std::uint64_t sequence = tick.head.chunk_sequence, before = std::exchange(last_sequence_, sequence);
  if (executor_from_ != kNever || setup_.executor.mode != ExecutionMode::Receding) return;
  if (before == 0 || sequence == 0 || sequence == before) return;
  const auto end = chunks_.begin() + static_cast<std::ptrdiff_t>(next_chunk_);
  auto chunk = std::find_if(chunks_.begin(), end, [&](const auto& c) {
    return c && c->result == PushResult::Accepted && c->chunk.sequence == sequence;
  });
  if (chunk == end) return;
  executor_->reset();
  for (; chunk != end; ++chunk)
    if ((*chunk)->result == PushResult::Accepted) push(**chunk);
  executor_from_ = tick.head.plan_ns + blend_ns_;
}

bool FlightRerun::rerun_executor(const FlightTick& tick) {
  if (!executor_) return true;
  const std::size_t known = next_chunk_;
  push_chunks(tick);
  if (next_chunk_ != known) next_seam_ = INT64_MIN;  // to be looked for
  find_takeover(tick);
  JointArray q{}, dq{};
  (void)executor_->at(tick.head.plan_ns, {q.data(), n_}, {dq.data(), n_});
  if (events_ != nullptr) note_seams(tick);
  if (!plan_known_ || executor_from_ == kNever || tick.head.plan_ns < executor_from_) return true;
  ++result_.executor_ticks;
  for (std::size_t j = 0; j < n_; ++j) dq[j] *= tick.head.plan_rate;
  return same(tick, FlightSignal::Target, {q.data(), n_}) &&
         same(tick, FlightSignal::TargetVelocity, {dq.data(), n_});
}

// A seam counts when the plan has come to it: a later chunk may still replace one that lies ahead.
void FlightRerun::note_seams(const FlightTick& tick) {
  if (tick.head.plan_ns < next_seam_) return;
  next_seam_ = INT64_MAX;
  for (const Seam& seam : executor_->seams(seams_until_)) {
    if (seam.time_ns > tick.head.plan_ns) {
      next_seam_ = seam.time_ns;
      break;
    }
    seams_until_ = seam.time_ns;
    events_->seams.push_back(
        {.time_ns = tick.head.time_ns, .chunk_sequence = tick.head.chunk_sequence, .seam = seam});
  }
}

void FlightRerun::note_violations(const FlightTick& tick) {
  std::array<WishLogEntry, 2 * kCauses.size()> entries;
  violations_ = std::max(violations_, enforcer_->log_count() - ConstraintEnforcer::kLogCapacity);
  while (violations_ < enforcer_->log_count()) {
    const int n = enforcer_->copy_log(entries, violations_);
    for (int k = 0; k < n; ++k)
      events_->violations.push_back(
          {.time_ns = tick.head.time_ns, .wish = entries[static_cast<std::size_t>(k)]});
    violations_ = n == 0 ? enforcer_->log_count() : violations_ + n;
  }
}

bool FlightRerun::rerun_enforcer(const FlightTick& tick, const EnforcerSnapshot* after) {
  if (!enforcer_) return true;
  if (!enforcer_known_) {
    if (after == nullptr || !enforcer_->restore(*after)) return true;
    enforcer_known_ = true;
    result_.resumed.push_back(tick.head.tick + 1);
    return true;
  }
  EnforcerReport report;
  if (tick.head.follows_plan)
    enforcer_->apply(tick.signal(FlightSignal::Target), tick.signal(FlightSignal::TargetVelocity), report);
  else
    enforcer_->stop();
  if (events_ != nullptr) note_violations(tick);
  ++result_.enforcer_ticks;
  return same(tick, FlightSignal::CommandPosition, enforcer_->position()) &&
         same(tick, FlightSignal::CommandVelocity, enforcer_->velocity()) &&
         same(tick, FlightSignal::CommandAcceleration, enforcer_->acceleration());
}

bool FlightRerun::same(const FlightTick& tick, FlightSignal signal, std::span<const double> replayed) {
  const std::span<const double> recorded = tick.signal(signal);
  for (std::size_t j = 0; j < n_; ++j) {
    if (std::memcmp(&recorded[j], &replayed[j], sizeof(double)) == 0) continue;
    if (!result_.difference)
      result_.difference = FlightDifference{.tick = tick.head.tick,
                                            .time_ns = tick.head.time_ns,
                                            .signal = signal,
                                            .joint = static_cast<int>(j),
                                            .recorded = recorded[j],
                                            .replayed = replayed[j]};
    return false;
  }
  return true;
}

}  // namespace vla_rt::execution
