#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cmath>
#include <memory>
#include <random>
#include <thread>

#include "execution/seven_joints.hpp"
#include "vla_rt/constraints/violation_counter.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/controller.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

constexpr TimeNs kTick = 1'000'000;

// What became of the chunks, as the pusher was told.
struct Told {
  std::int64_t accepted = 0, past = 0, refused_future = 0, invalid = 0;
  [[nodiscard]] std::int64_t all() const { return accepted + past + refused_future + invalid; }
};

// Contradictory, late, early, senseless: a chunk of one of eight kinds for a plan whose time is `now`.
void spoil(ActionChunk& chunk, TimeNs now, std::mt19937& random) {
  std::uniform_real_distribution<double> unit(0, 1);
  fill_sine(chunk, now - from_seconds(0.3 * unit(random)));
  switch (random() % 8) {
    case 0:  // all rows at a place of its own, for some joints out of reach
      for (double& value : chunk.values) value = 6 * unit(random) - 3;
      break;
    case 1:
      chunk.start_time_ns -= 60 * kNsPerSecond;
      break;
    case 2:
      chunk.start_time_ns += 20 * kNsPerSecond;
      break;
    case 3:
      chunk.row(5)[3] = std::nan("");
      break;
    case 4:
      chunk.action_dim = kJoints - 1;
      break;
    case 5:  // waits for its turn
      chunk.start_time_ns = now + from_seconds(2 * unit(random));
      break;
    case 6:
      chunk.period_ns /= 2;
      break;
    default:
      break;
  }
}

void push(Controller& controller, const ActionChunk& chunk, Told& told) {
  try {
    switch (controller.push(chunk)) {
      case PushResult::Accepted:
        ++told.accepted;
        break;
      case PushResult::Past:
        ++told.past;
        break;
      case PushResult::FarFuture:
      case PushResult::QueueFull:
      case PushResult::Invalid:
      case PushResult::Busy:
        ++told.refused_future;
        break;
    }
  } catch (const ConfigError&) {
    ++told.invalid;
  }
}

}  // namespace

TEST_CASE(
    "a worker that floods the plan with contradictions and then dies: within the limits, to a safe stop") {
  constexpr int kTicks = 500, kPushesPerTick = 4;  // 4000 chunks per second
  for (const ExecutionMode mode :
       {ExecutionMode::Receding, ExecutionMode::Ensemble, ExecutionMode::Async, ExecutionMode::Rtc})
    for (const StarvationPolicy starvation : {StarvationPolicy::Hold, StarvationPolicy::Decelerate}) {
      ControllerConfig config = controller_config();
      config.executor.mode = mode;
      config.executor.execution_horizon = 2;
      config.executor.on_starvation = starvation;
      config.watchdog_s = 1.5;
      Controller controller(config, seven_joint_limits());
      ViolationCounter judge(seven_joint_limits(), config.period_s);
      RobotState state;
      RobotCommand command;
      state.num_joints = kJoints;
      const std::span<const double> position{state.position.data(), kJoints};
      controller.reset(position);
      judge.reset(position);
      TimeNs now = kNsPerSecond;
      double travelled = 0;
      const auto tick = [&] {
        now += kTick;
        state.time_ns = now;
        controller.tick(now, state, command);
        judge.add({command.position.data(), kJoints});
        travelled += std::fabs(command.position[0] - state.position[0]);
        state.position = command.position;
      };

      Told told;
      std::atomic<TimeNs> clock{now};
      std::atomic<std::int64_t> pushes{0};
      std::atomic<bool> done{false};
      std::thread worker([&] {
        std::mt19937 random(3);
        const auto chunk = std::make_unique<ActionChunk>();
        while (!done.load(std::memory_order_relaxed)) {
          spoil(*chunk, clock.load(std::memory_order_relaxed), random);
          push(controller, *chunk, told);
          pushes.fetch_add(1, std::memory_order_relaxed);
        }
      });
      for (int k = 0; k < kTicks; ++k) {
        tick();
        clock.store(now, std::memory_order_relaxed);
        while (pushes.load(std::memory_order_relaxed) < k * kPushesPerTick) std::this_thread::yield();
      }
      done = true;
      worker.join();

      const ExecutorCounters counters = controller.executor().counters();
      CHECK(counters.accepted == told.accepted);
      CHECK(counters.dropped_chunks == told.past);
      CHECK(counters.refused_future == told.refused_future);
      CHECK(counters.refused_invalid == told.invalid);
      CHECK(told.all() == pushes.load());
      for (const std::int64_t kind : {told.accepted, told.past, told.refused_future, told.invalid})
        CHECK(kind > kTicks / 8);
      CHECK_FALSE(controller.faulted());
      CHECK(travelled > 0.05);  // it moved all the while

      for (int k = 0; k < 4000; ++k) tick();  // nobody pushes any more
      CHECK(controller.executor().counters().starved_queries > 0);
      CHECK(controller.fault().reason == FaultReason::Watchdog);
      CHECK(controller.at_rest());
      CHECK(judge.total() == 0);
    }
}
