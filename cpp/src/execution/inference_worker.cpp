#include "vla_rt/execution/inference_worker.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "execution/inference_schedule.hpp"
#include "execution/observation_history.hpp"
#include "vla_rt/core/claim.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/flight_recorder.hpp"
#include "vla_rt/rt/triple_buffer.hpp"

namespace vla_rt {
namespace {

constexpr TimeNs kPollNs = 1'000'000;    // for a state newer than the last one used
constexpr TimeNs kRetryNs = 20'000'000;  // after a failure, unless a rate is given

// Name and index of the first number that is not finite; empty when all are.
std::string find_non_finite(const Observation& observation) {
  for (const std::string& name : observation.names()) {
    const TensorView value = observation.at(name);
    if (value.dtype != DType::Float32) continue;
    const auto* data = static_cast<const float*>(value.data);
    std::int64_t n = 1;
    for (const std::int64_t extent : value.shape) n *= extent;
    const auto* bad = std::find_if_not(data, data + n, [](float x) { return std::isfinite(x); });
    if (bad != data + n) return indexed(name, bad - data) + " = " + number(*bad) + ": must be finite";
  }
  return {};
}

std::string find_bad_number(const ActionChunk& chunk) {
  for (int t = 0; t < chunk.horizon; ++t)
    for (int d = 0; d < chunk.action_dim; ++d)
      if (const double x = chunk.row(t)[static_cast<std::size_t>(d)]; !std::isfinite(x))
        return "chunk[" + std::to_string(t) + "][" + std::to_string(d) + "] = " + number(x) +
               ": must be finite";
  return {};
}

void require_shape(const ActionChunk& chunk) {
  if (chunk.horizon < 1 || chunk.horizon > kMaxHorizon)
    throw ConfigError("chunk.horizon", std::to_string(chunk.horizon),
                      "must be in 1.." + std::to_string(kMaxHorizon));
  if (chunk.action_dim < 1 || chunk.action_dim > kMaxActionDim)
    throw ConfigError("chunk.action_dim", std::to_string(chunk.action_dim),
                      "must be in 1.." + std::to_string(kMaxActionDim));
  if (chunk.period_ns <= 0)
    throw ConfigError("chunk.period_ns", std::to_string(chunk.period_ns), "must be > 0");
}

std::shared_ptr<ChunkSource> required(std::shared_ptr<ChunkSource> source) {
  if (!source) throw ConfigError("policy", "", "must not be empty");
  return source;
}

std::chrono::steady_clock::time_point time_point(TimeNs t) {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(t));
}

}  // namespace

void InferenceConfig::validate() const {
  if (!(rate_hz >= 0 && rate_hz <= 1e4))
    throw ConfigError("inference_rate_hz", number(rate_hz),
                      "must be in [0, 1e4] Hz; 0 means as the plan demands");
  if (!(inline_budget_s >= 0 && inline_budget_s <= 1))
    throw ConfigError("inline_budget_s", number(inline_budget_s),
                      "must be in [0, 1] s; 0 means a thread of its own");
  if (!(stop_timeout_s >= 0 && stop_timeout_s <= 3600))
    throw ConfigError("inference_stop_timeout_s", number(stop_timeout_s), "must be in [0, 3600] s");
}

struct InferenceWorker::Shared {
  const std::shared_ptr<Robot> robot;
  const std::shared_ptr<ChunkSource> source;
  const Claim claim;  // on the source: until its last call has returned, even if nobody waits for it any more
  const InferenceConfig config;
  std::thread thread;  // of the owner
  TripleBuffer<RobotState> states;

  std::mutex mutex;  // guards everything down to the next blank line
  std::condition_variable changed;
  bool started = false, stopping = false, ended = false;
  Controller* controller;                     // null from the end of `stop` on
  FlightRecorder* const flight;               // used while there is a controller
  const std::unique_ptr<FlightChunk> record;  // where there is a recorder
  const bool has_picture_recorder;
  InferenceStats counted;
  LatencyHistogram latency, delay;  // written by the worker alone

  // Worker thread only.
  Observation observation;
  ActionChunk chunk;
  std::uint64_t sequence = 0;
  execution::InferenceSchedule schedule;
  std::vector<double> previous;                          // rows of the plan, for mode Rtc
  int horizon = 0;                                       // of the newest chunk
  std::optional<execution::ObservationHistory> history;  // of a source that looks back

  Shared(std::shared_ptr<Robot> robot_in, std::shared_ptr<ChunkSource> source_in, Controller& controller_in,
         const InferenceConfig& config_in, FlightRecorder* flight_in)
      : robot(std::move(robot_in)),
        source(required(std::move(source_in))),
        claim(*source,
              "the policy is in use: by another control loop, or by a call of an earlier run that has not "
              "returned"),
        config(config_in),
        controller(&controller_in),
        flight(flight_in),
        record(flight_in != nullptr ? std::make_unique<FlightChunk>() : nullptr),
        has_picture_recorder(flight_in != nullptr && flight_in->keeps_pictures()),
        schedule(controller_in.config().executor.period_s) {
    config.validate();
    if (const ObservationWindow window = source->window(); window.steps > 1) history.emplace(window);
    if (!robot) throw ConfigError("robot", "", "must not be empty");
  }

  // False when the worker shall end.
  bool wait_until(TimeNs due) {
    std::unique_lock lock(mutex);
    return !changed.wait_until(lock, time_point(due), [this] { return stopping; });
  }

  void run() {
    TimeNs due = steady_now(), look = due;
    while (wait_until(history ? std::min(due, look) : due)) {
      const bool is_fresh = states.update();
      if (history && steady_now() < due) {
        if (is_fresh) remember_observation(states.front());
        look = steady_now() + (is_fresh ? history->interval_ns() : kPollNs);
      } else {
        due = is_fresh ? infer_once(states.front()) : steady_now() + kPollNs;
      }
    }
  }

  void remember_observation(const RobotState& state) {
    try {
      robot->observe(state, observation);
      if (find_non_finite(observation).empty()) history->add(observation);
    } catch (const std::exception&) {  // the inference that follows meets it again, and reports it
    }
  }

  // Returns when the next inference is due.
  TimeNs infer_once(const RobotState& state) {
    const TimeNs begin = steady_now();
    bool handed_over = false;
    try {
      handed_over = infer(state);
    } catch (const abi::__forced_unwind&) {
      throw;  // the thread is being cancelled; swallowing that ends the process
    } catch (const std::exception& error) {
      fail(error.what());
    } catch (...) {
      fail("the policy threw something that is no std::exception");
    }
    if (config.rate_hz > 0) return begin + from_seconds(1 / config.rate_hz);
    return handed_over ? due_by_plan(begin) : begin + kRetryNs;
  }

  bool infer(const RobotState& state) {
    robot->observe(state, observation);
    if (std::string bad = find_non_finite(observation); !bad.empty()) return refuse("observation: " + bad);
    if (history) history->add(observation);
    record_pictures();
    const Observation& seen = history ? history->until(observation) : observation;
    const TimeNs expected = schedule.expected_delay();
    const std::optional<ChunkPrefix> prefix = prefix_at(observation.time_ns);
    const TimeNs asked = steady_now();
    if (prefix)
      source->infer_continuing(seen, *prefix, chunk);
    else
      source->infer(seen, chunk);
    chunk.inference_ns = steady_now() - asked;
    latency.record(chunk.inference_ns);
    require_shape(chunk);
    if (std::string bad = find_bad_number(chunk); !bad.empty()) return refuse(std::move(bad));
    horizon = chunk.horizon;
    chunk.sequence = ++sequence;
    chunk.start_time_ns = observation.time_ns;
    return hand_over(expected);
  }

  void record_pictures() {
    if (!has_picture_recorder) return;
    std::vector<std::shared_ptr<const FlightPicture>> pictures;
    for (const std::string& name : observation.names()) {
      const TensorView view = observation.at(name);
      if (view.dtype != DType::UInt8 || view.shape.size() != 3 || view.shape[2] != 3) continue;
      auto picture = std::make_shared<FlightPicture>();
      picture->time_ns = observation.time_ns;
      picture->name = name;
      picture->height = static_cast<std::int32_t>(view.shape[0]);
      picture->width = static_cast<std::int32_t>(view.shape[1]);
      const auto* first = static_cast<const std::uint8_t*>(view.data);
      picture->pixels.assign(first, first + view.shape[0] * view.shape[1] * 3);
      pictures.push_back(std::move(picture));
    }
    const std::scoped_lock lock(mutex);
    if (!controller) return;
    for (const auto& picture : pictures) flight->push(picture);
  }

  // What the chunk for `start` shall continue; nothing outside mode Rtc or without a plan at that time.
  std::optional<ChunkPrefix> prefix_at(TimeNs start) {
    const std::scoped_lock lock(mutex);
    if (!controller || horizon == 0) return {};
    const ChunkExecutor& executor = controller->executor();
    const ChunkExecutorConfig& plan = executor.config();
    if (plan.mode != ExecutionMode::Rtc) return {};
    previous.resize(static_cast<std::size_t>(horizon) * static_cast<std::size_t>(plan.action_dim));
    const int within = executor.previous_rows(start, horizon, previous);
    if (within == 0) return {};
    const auto known = static_cast<std::size_t>(within) * static_cast<std::size_t>(plan.action_dim);
    const int executed = plan.execution_horizon == 0 ? horizon : std::min(plan.execution_horizon, horizon);
    return ChunkPrefix{.values = std::span(previous).first(known),
                       .rows = within,
                       .delay = std::min(schedule.expected_rows(), horizon),
                       .end = horizon - executed};
  }

  // Also before a plan that reaches far ahead makes the controller take the worker for dead or the plan for
  // stale.
  TimeNs due_by_plan(TimeNs begin) {
    const std::scoped_lock lock(mutex);
    if (!controller) return begin;
    const ChunkExecutor& executor = controller->executor();
    const TimeNs due = std::min(executor.due(), begin + execution::freshness(controller->config()));
    return std::max(begin + kPollNs, schedule.next_observation(due, executor.plan_end()));
  }

  // False when the controller refused it or nobody wants it any more.
  bool hand_over(TimeNs expected) {
    const std::scoped_lock lock(mutex);
    if (stopping || !controller) return false;
    const ChunkExecutor& executor = controller->executor();
    const TimeNs plan_end = executor.plan_end();
    const std::int64_t dropped_rows = executor.counters().dropped_rows;
    std::string why;
    try {
      PlanInput planned;
      const PushResult result = controller->push(chunk, &planned);
      if (flight != nullptr) {
        record->time_ns = steady_now();
        record->planned = planned;
        record->result = result;
        record->chunk.copy_from(chunk);
        flight->push(*record);
      }
      if (result == PushResult::Past)
        why = "the chunk came after all its rows were over: slower than its horizon";
      if (result == PushResult::FarFuture) why = "the chunk's start time is too far ahead";
      if (result == PushResult::QueueFull) why = "too many chunks wait for their turn";
    } catch (const VlaRtError& error) {
      why = error.what();
    }
    if (!why.empty()) {
      ++counted.refused;
      counted.last_error = std::move(why);
      return false;
    }
    controller->set_input_refused(false);
    ++counted.chunks;
    const TimeNs now = steady_now(), cursor = executor.now(), start = chunk.start_time_ns;
    const bool planned = plan_end != ChunkExecutor::kNever && cursor != ChunkExecutor::kNever;
    schedule.add(now - start, planned ? std::max<TimeNs>(0, std::min(cursor, plan_end) - start) : -1);
    delay.record(now - start);
    remember({.time_ns = now,
              .delay_ns = now - start,
              .expected_delay_ns = expected,
              .remaining_ns = planned ? std::max<TimeNs>(0, plan_end - cursor) : 0,
              .dropped_rows = static_cast<int>(executor.counters().dropped_rows - dropped_rows),
              .sequence = chunk.sequence});
    return true;
  }

  void remember(const Handover& handover) {
    if (counted.handovers.size() < kMaxHandovers)
      counted.handovers.push_back(handover);
    else
      counted.handovers[(counted.chunks - 1) % kMaxHandovers] = handover;
  }

  bool refuse(std::string why) {
    const std::scoped_lock lock(mutex);
    ++counted.refused;
    counted.last_error = std::move(why);
    if (controller) controller->set_input_refused(true);
    return false;
  }

  void fail(const char* why) {
    const std::scoped_lock lock(mutex);
    ++counted.failures;
    counted.last_error = why;
  }
};

InferenceWorker::InferenceWorker(std::shared_ptr<Robot> robot, std::shared_ptr<ChunkSource> source,
                                 Controller& controller, const InferenceConfig& config,
                                 FlightRecorder* flight)
    : shared_(std::make_shared<Shared>(std::move(robot), std::move(source), controller, config, flight)) {}

InferenceWorker::~InferenceWorker() { stop(); }

void InferenceWorker::start() {
  const std::scoped_lock lock(shared_->mutex);
  if (shared_->started || shared_->stopping) return;
  shared_->thread = std::thread([shared = shared_] {
    shared->run();
    const std::scoped_lock ending(shared->mutex);
    shared->ended = true;
    shared->changed.notify_all();
  });
  shared_->started = true;
}

void InferenceWorker::post_state(const RobotState& state) noexcept VLA_RT_NONBLOCKING {
  shared_->states.back() = state;
  shared_->states.publish();
}

void InferenceWorker::request_stop() noexcept {
  const std::scoped_lock lock(shared_->mutex);
  shared_->stopping = true;
  shared_->changed.notify_all();
}

bool InferenceWorker::stop() noexcept {
  request_stop();
  std::unique_lock lock(shared_->mutex);
  if (!shared_->thread.joinable()) return true;
  const bool ended = shared_->changed.wait_until(
      lock, time_point(steady_now() + from_seconds(shared_->config.stop_timeout_s)),
      [this] { return shared_->ended; });
  shared_->controller = nullptr;
  lock.unlock();
  if (ended)
    shared_->thread.join();
  else
    shared_->thread.detach();
  return ended;
}

InferenceStats InferenceWorker::stats() const {
  const std::scoped_lock lock(shared_->mutex);
  InferenceStats result = shared_->counted;
  if (result.chunks > kMaxHandovers)
    std::ranges::rotate(result.handovers, result.handovers.begin() +
                                              static_cast<std::ptrdiff_t>(result.chunks % kMaxHandovers));
  result.latency = shared_->latency.summary();
  result.delay = shared_->delay.summary();
  result.running = shared_->started && !shared_->ended && !shared_->stopping;
  return result;
}

}  // namespace vla_rt
