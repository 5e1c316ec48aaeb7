#include "vla_rt/execution/inline_policy.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <utility>

#include "execution/inference_schedule.hpp"
#include "execution/inline_features.hpp"
#include "execution/piece_times.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/flight_recorder.hpp"
#include "vla_rt/package/chunk_sampler.hpp"
#include "vla_rt/rt/latency_histogram.hpp"

namespace vla_rt {
namespace {

using execution::Piece;

constexpr TimeNs kRetryNs = 20'000'000;  // after a chunk that came to nothing
constexpr std::size_t kNone = ~std::size_t{0};

ChunkExecutor& executor_of(Controller& controller) {
  if (controller.config().cartesian)
    throw ConfigError("inline_budget_s", "",
                      "actions of the tool are planned by a policy in a thread of its own");
  return const_cast<ChunkExecutor&>(controller.executor());  // fed through the controller alone
}

const InlineConfig& checked(const InlineConfig& config) {
  config.validate();
  return config;
}

void require_fit(const PolicySpec& spec, const ChunkExecutorConfig& executor) {
  if (spec.action_dim != executor.action_dim)
    throw ConfigError("action_dim", std::to_string(spec.action_dim),
                      "must be that of the executor, " + std::to_string(executor.action_dim));
  if (from_seconds(spec.period_s) != from_seconds(executor.period_s))
    throw ConfigError("chunk_period_s", number(executor.period_s),
                      "must be that of the policy, " + number(spec.period_s) + " s");
  if (spec.n_obs_steps != 1)
    throw ConfigError("n_obs_steps", std::to_string(spec.n_obs_steps),
                      "must be 1: a control loop shows the policy the present alone");
  if (executor.mode == ExecutionMode::Rtc)
    throw ConfigError("mode", "rtc", "is for a policy in a thread of its own; use async with an inline one");
}

}  // namespace

void InlineConfig::validate() const {
  if (!(budget_s > 0 && budget_s <= 1))
    throw ConfigError("inline_budget_s", number(budget_s), "must be in (0, 1] s");
  if (!(rate_hz >= 0 && rate_hz <= 1e4))
    throw ConfigError("inference_rate_hz", number(rate_hz), "must be in [0, 1e4] Hz");
}

struct InlinePolicy::Impl {
  ChunkSampler sampler;
  ChunkExecutor& executor;
  Controller* const controller;  // null: the executor is fed
  const InlineConfig config;
  const TimeNs budget_ns;
  execution::InlineFeatures features;
  execution::PieceTimes times;

  // The ticking thread's.
  execution::InferenceSchedule schedule;
  FlightChunk made;  // the chunk, as a recorder is told of it
  ActionChunk& chunk = made.chunk;
  bool making = false;
  TimeNs due_ns = 0, begun_ns = 0, spent_ns = 0, used_state_ns = 0;
  bool used_a_state = false;
  int chunk_ticks = 0;
  std::uint64_t begun = 0, sequence = 0;  // chunks
  InferenceStats counted;                 // its handovers are a ring of full size from the start
  InlineFigures figures;
  LatencyHistogram latency, delay;
  const char* why = nullptr;  // newest failure or refusal
  std::size_t where = kNone;

  std::atomic<bool> stopped{false};

  Impl(std::shared_ptr<Policy> policy, ChunkExecutor& executor_in, Controller* controller_in,
       const InlineConfig& config_in)
      : sampler(std::move(policy)),
        executor(executor_in),
        controller(controller_in),
        config(checked(config_in)),
        budget_ns(from_seconds(config.budget_s)),
        features(sampler.spec()),
        schedule(sampler.spec().period_s) {
    require_fit(sampler.spec(), executor.config());
    counted.handovers.resize(InferenceWorker::kMaxHandovers);
    chunk.values.fill(0);  // so that the tick finds its pages there
    times = execution::measure_pieces(sampler, executor.config(), config.clock);
    figures.budget_s = config.budget_s;
    figures.encode_s = to_seconds(times.of(Piece::Encode));
    figures.step_s = to_seconds(times.of(Piece::Step));
    figures.hand_over_s = to_seconds(times.of(Piece::HandOver));
    figures.num_steps = sampler.num_steps();
    for (const Piece piece : {Piece::Encode, Piece::Step, Piece::HandOver})
      if (times.of(piece) > budget_ns)
        throw ConfigError("inline_budget_s", number(config.budget_s),
                          "must be at least " + number(to_seconds(times.of(piece))) + " s, the longest one " +
                              execution::kPieceNames[static_cast<std::size_t>(piece)] + " took in " +
                              std::to_string(times.samples) +
                              " chunks; without it the policy runs in a thread of its own");
  }

  [[nodiscard]] TimeNs now() const noexcept {
    return config.clock == nullptr ? steady_now() : config.clock();
  }

  void note(const char* text, std::size_t index) noexcept {
    why = text;
    where = index;
  }

  [[nodiscard]] Piece next() const noexcept {
    if (!making) return Piece::Encode;
    return sampler.next() == ChunkSampler::Piece::Step ? Piece::Step : Piece::HandOver;
  }

  enum class Outcome : std::uint8_t { GoesOn, Wait, Accepted };

  Outcome encode(const RobotState& state, TimeNs at) noexcept {
    using Taken = execution::InlineFeatures::Taken;
    if (used_a_state && state.time_ns == used_state_ns) return Outcome::Wait;
    switch (features.take(state, sampler)) {
      case Taken::None:
        return Outcome::Wait;
      case Taken::Bad:
        ++counted.refused;
        note("the observation holds a number that is not finite, or too few of them", kNone);
        if (controller != nullptr) controller->set_input_refused(true);
        due_ns = at + kRetryNs;
        return Outcome::Wait;
      case Taken::Good:
        break;
    }
    sampler.begin({config.seed, begun++});
    (void)sampler.advance();
    making = used_a_state = true;
    used_state_ns = chunk.start_time_ns = state.time_ns;
    begun_ns = at;
    spent_ns = 0;
    chunk_ticks = 0;
    return Outcome::GoesOn;
  }

  Outcome step(TimeNs at) noexcept {
    if (sampler.advance()) return Outcome::GoesOn;
    ++counted.failures;
    note(sampler.defect().bound, sampler.defect().index);
    give_up(at);
    return Outcome::Wait;
  }

  void give_up(TimeNs at) noexcept {
    making = false;
    due_ns = at + kRetryNs;
  }

  Outcome hand_over(TimeNs at, TimeNs spent, FlightRecorder* flight) noexcept {
    if (!sampler.write(chunk)) {
      ++counted.refused;
      note("the chunk holds a number that is not finite, or beyond 1e100", kNone);
      if (controller != nullptr) controller->set_input_refused(true);
      give_up(at);
      return Outcome::Wait;
    }
    chunk.sequence = sequence + 1;
    chunk.inference_ns = spent;
    const TimeNs plan_end = executor.plan_end(), start = chunk.start_time_ns;
    const std::int64_t dropped_rows = executor.counters().dropped_rows;
    const PushResult result = controller != nullptr ? controller->try_push(chunk, &made.planned)
                                                    : executor.try_push(chunk, &made.planned);
    if (result == PushResult::Busy) return Outcome::Wait;
    if (flight != nullptr && result != PushResult::Invalid) {
      made.time_ns = at;
      made.result = result;
      flight->push(made);
    }
    if (result != PushResult::Accepted) {
      ++counted.refused;
      note(to_string(result), kNone);
      give_up(at);
      return Outcome::Wait;
    }
    if (controller != nullptr) controller->set_input_refused(false);
    making = false;
    ++sequence;
    const TimeNs cursor = executor.now();
    const bool planned = plan_end != ChunkExecutor::kNever && cursor != ChunkExecutor::kNever;
    const Handover handover{.time_ns = at,
                            .delay_ns = at - start,
                            .expected_delay_ns = schedule.expected_delay(),
                            .remaining_ns = planned ? std::max<TimeNs>(0, plan_end - cursor) : 0,
                            .dropped_rows = static_cast<int>(executor.counters().dropped_rows - dropped_rows),
                            .sequence = sequence};
    counted.handovers[counted.chunks++ % InferenceWorker::kMaxHandovers] = handover;
    latency.record(spent);
    delay.record(at - start);
    schedule.add(at - start, planned ? std::max<TimeNs>(0, std::min(cursor, plan_end) - start) : -1);
    due_ns = config.rate_hz > 0 ? begun_ns + from_seconds(1 / config.rate_hz) : due_by_plan();
    return Outcome::Accepted;
  }

  [[nodiscard]] TimeNs due_by_plan() const noexcept {
    TimeNs due = executor.due();
    if (controller != nullptr) due = std::min(due, begun_ns + execution::freshness(controller->config()));
    return schedule.next_observation(due, executor.plan_end());
  }
};

InlinePolicy::InlinePolicy(std::shared_ptr<Policy> policy, ChunkExecutor& executor,
                           const InlineConfig& config)
    : impl_(std::make_unique<Impl>(std::move(policy), executor, nullptr, config)) {}
InlinePolicy::InlinePolicy(std::shared_ptr<Policy> policy, Controller& controller, const InlineConfig& config)
    : impl_(std::make_unique<Impl>(std::move(policy), executor_of(controller), &controller, config)) {}
InlinePolicy::~InlinePolicy() = default;

void InlinePolicy::reset() noexcept {
  Impl& c = *impl_;
  c.making = c.used_a_state = false;
  c.features.reset();
  c.schedule = execution::InferenceSchedule(c.sampler.spec().period_s);
  c.due_ns = 0;
  c.sequence = 0;
  c.counted.chunks = c.counted.failures = c.counted.refused = 0;
  c.figures.ticks = c.figures.over_budget = 0;
  c.figures.most_ticks = 0;
  c.latency.clear();
  c.delay.clear();
  c.why = nullptr;
  c.stopped.store(false);
}

bool InlinePolicy::advance(const RobotState& state, TimeNs now, TimeNs deadline,
                           FlightRecorder* flight) noexcept VLA_RT_NONBLOCKING {
  Impl& c = *impl_;
  c.features.show(state);
  if (c.stopped.load(std::memory_order_relaxed) || (!c.making && now < c.due_ns)) return false;
  const TimeNs start = c.now(), until = std::min(deadline, start + c.budget_ns);
  TimeNs at = start;
  int pieces = 0;
  auto outcome = Impl::Outcome::GoesOn;
  while (outcome == Impl::Outcome::GoesOn) {
    const Piece piece = c.next();
    if (at + c.times.of(piece) > until) break;
    const TimeNs time = now + (at - start);
    outcome = piece == Piece::Encode ? c.encode(state, time)
              : piece == Piece::Step ? c.step(time)
                                     : c.hand_over(time, c.spent_ns + (at - start), flight);
    if (outcome != Impl::Outcome::Wait || piece != Piece::Encode) ++pieces;
    at = c.now();
  }
  if (pieces == 0) return false;
  ++c.figures.ticks;
  ++c.chunk_ticks;
  c.spent_ns += at - start;
  if (at > until) ++c.figures.over_budget;
  c.figures.most_ticks = std::max(c.figures.most_ticks, c.chunk_ticks);
  return outcome == Impl::Outcome::Accepted;
}

bool InlinePolicy::needs_features() const noexcept { return impl_->features.needed(); }

void InlinePolicy::post(const Observation& observation) { impl_->features.post(observation); }

void InlinePolicy::observe(Robot& robot, const RobotState& state) { impl_->features.observe(robot, state); }

void InlinePolicy::observe(Robot& robot) noexcept { impl_->features.observe(robot); }

void InlinePolicy::request_stop() noexcept { impl_->stopped.store(true, std::memory_order_relaxed); }

InferenceStats InlinePolicy::stats() const {
  const Impl& c = *impl_;
  InferenceStats result = c.counted;
  const auto kept = std::min<std::uint64_t>(c.counted.chunks, InferenceWorker::kMaxHandovers);
  if (c.counted.chunks > kept)
    std::ranges::rotate(result.handovers,
                        result.handovers.begin() + static_cast<std::ptrdiff_t>(c.counted.chunks % kept));
  result.handovers.resize(kept);
  result.latency = c.latency.summary();
  result.delay = c.delay.summary();
  if (c.why != nullptr)
    result.last_error =
        (c.where == kNone ? "" : indexed("denoiser output", static_cast<long>(c.where)) + ": ") + c.why;
  const execution::InlineFeatures::Failures observing = c.features.failures();
  result.failures += observing.count;
  if (!observing.newest.empty()) result.last_error = observing.newest;
  result.running = !c.stopped.load();
  return result;
}

InlineFigures InlinePolicy::figures() const noexcept { return impl_->figures; }

}  // namespace vla_rt
