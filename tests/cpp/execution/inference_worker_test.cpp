#include "vla_rt/execution/inference_worker.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "execution/sine_policy.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/anchored_source.hpp"
#include "vla_rt/execution/control_loop.hpp"
#include "vla_rt/execution/simulated_robot.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

constexpr TimeNs kMs = 1'000'000, kRow = 50 * kMs;

std::shared_ptr<SimulatedRobot> simulated() {
  return std::make_shared<SimulatedRobot>(seven_joint_limits(), std::array<double, kJoints>{});
}

// Answers like SinePolicy after `latency_ms(call)`, and remembers what it was to continue.
class Recorder final : public ChunkSource {
 public:
  explicit Recorder(std::function<int(int)> latency_ms) : latency_ms_(std::move(latency_ms)) {}
  void infer(const Observation& observation, ActionChunk& chunk) override {
    answer(observation, chunk);
    ++plain;
  }
  void infer_continuing(const Observation& observation, const ChunkPrefix& previous,
                        ActionChunk& chunk) override {
    prefixes.push_back(previous);
    values.emplace_back(previous.values.begin(), previous.values.end());
    times.push_back(observation.time_ns);
    answer(observation, chunk);
  }

  int plain = 0;
  std::vector<ChunkPrefix> prefixes;
  std::vector<std::vector<double>> values;
  std::vector<TimeNs> times;

 private:
  void answer(const Observation& observation, ActionChunk& chunk) {
    std::this_thread::sleep_for(std::chrono::milliseconds(latency_ms_(calls_++)));
    fill_sine(chunk, observation.time_ns, 16);
  }
  std::function<int(int)> latency_ms_;
  int calls_ = 0;
};

double sine_at(TimeNs t) { return 0.3 * std::sin(2 * 3.141592653589793 * 0.4 * to_seconds(t)); }

ControlConfig rtc_config() {
  ControlConfig config = loop_config();
  config.inference.rate_hz = 0;
  config.controller.executor.mode = ExecutionMode::Rtc;
  config.controller.executor.execution_horizon = 6;
  return config;
}

}  // namespace

TEST_CASE("in mode rtc the policy is shown the plan that its chunk continues") {
  const auto policy = std::make_shared<Recorder>([](int) { return 120; });
  ControlLoop loop(simulated(), policy, rtc_config());
  const RunReport report = loop.run(1.6);
  CHECK(report.limit_violations == 0);
  CHECK(policy->plain == 1);
  REQUIRE(policy->prefixes.size() >= 4);
  for (std::size_t i = 0; i < policy->prefixes.size(); ++i) {
    const ChunkPrefix& prefix = policy->prefixes[i];
    CHECK(prefix.batch == 1);
    CHECK(prefix.rows >= 4);
    CHECK(prefix.rows < 16);
    CHECK(prefix.delay >= 3);  // 120 ms are 3 rows
    CHECK(prefix.delay <= 6);
    CHECK(prefix.end == 16 - 6);
    REQUIRE(policy->values[i].size() == static_cast<std::size_t>(prefix.rows) * kJoints);
    for (int t = 0; t < prefix.rows; ++t)
      for (int d = 0; d < kJoints; ++d)
        CHECK(policy->values[i][static_cast<std::size_t>(t) * kJoints + static_cast<std::size_t>(d)] ==
              doctest::Approx(sine_at(policy->times[i] + t * kRow)).epsilon(1e-3).scale(0.3));
  }
  REQUIRE(report.inference.handovers.size() == report.inference.chunks);
  for (const Handover& handover : report.inference.handovers) CHECK(handover.delay_ns >= 120 * kMs);
}

TEST_CASE("other modes show nothing") {
  const auto policy = std::make_shared<Recorder>([](int) { return 10; });
  ControlConfig config = rtc_config();
  config.controller.executor.mode = ExecutionMode::Async;
  ControlLoop(simulated(), policy, config).run(0.5);
  CHECK(policy->plain >= 2);
  CHECK(policy->prefixes.empty());
}

TEST_CASE("a plan is renewed in time, and no more often than needed") {
  // 0.75 s of plan, 250 ms of inference, a cold call of 400 ms.
  for (const ExecutionMode mode : {ExecutionMode::Receding, ExecutionMode::Async}) {
    const auto policy = std::make_shared<Recorder>([](int call) { return call == 0 ? 400 : 250; });
    ControlConfig config = rtc_config();
    config.controller.executor.mode = mode;
    config.controller.executor.execution_horizon = 0;  // all rows
    const RunReport report = ControlLoop(simulated(), policy, config).run(2.5);
    CHECK(report.limit_violations == 0);
    REQUIRE(report.inference.chunks > 3);
    CHECK(report.inference.chunks <= 8);
    // Asked when 750 ms of plan less the slowest inference so far and 5 ms are over; the machine may be late,
    // though not every time. That such a plan never starves is inference_schedule_test's, in simulated time.
    const std::vector<Handover>& handovers = report.inference.handovers;
    TimeNs least = INT64_MAX, slowest = handovers[1].delay_ns;
    for (std::size_t i = 2; i < handovers.size(); ++i) {
      const TimeNs before = handovers[i - 1].time_ns - handovers[i - 1].delay_ns;
      const TimeNs asked = handovers[i].time_ns - handovers[i].delay_ns;
      least = std::min(least, asked - (before + 15 * kRow - slowest - 5 * kMs));
      slowest = std::max(slowest, handovers[i].delay_ns);
    }
    CHECK(least < 50 * kMs);
  }
}

TEST_CASE("the trace names the chunk that was followed, not the newest") {
  const auto policy = std::make_shared<Recorder>([](int) { return 1; });
  ControlConfig config = rtc_config();
  config.inference.rate_hz = 10;  // ahead of need
  config.controller.executor.mode = ExecutionMode::Receding;
  const RunReport report = ControlLoop(simulated(), policy, config).run(1);
  const Trace& trace = report.trace;
  std::size_t changes = 0;
  for (std::size_t row = 1; row < trace.rows(); ++row) {
    if (trace.chunk_sequence[row] == trace.chunk_sequence[row - 1] || trace.chunk_sequence[row - 1] == 0)
      continue;
    // Every change is a seam, at the seam's time; a plan lags by what ticks came late shortly before.
    REQUIRE(changes < report.seams.size());
    TimeNs late = 0;
    for (std::size_t k = row > 300 ? row - 300 : 1; k <= row; ++k)
      late += std::max<TimeNs>(0, trace.time_ns[k] - trace.time_ns[k - 1] - kMs);
    CHECK(std::abs(trace.time_ns[row] - report.seams[changes].time_ns) <= 2 * kMs + late);
    // Not before six rows of the one before are over, though a new one comes every two.
    const auto before =
        std::ranges::find(report.inference.handovers, trace.chunk_sequence[row - 1], &Handover::sequence);
    REQUIRE(before != report.inference.handovers.end());
    CHECK(trace.time_ns[row] >= before->time_ns - before->delay_ns + 6 * kRow - kMs);
    ++changes;
  }
  CHECK(changes >= 2);
}

TEST_CASE("relative actions are anchored to what was seen, and their past anew") {
  class Relative final : public ChunkSource {
   public:
    void infer(const Observation& /*observation*/, ActionChunk& chunk) override {
      chunk.resize(2, 3);
      for (double& value : chunk.values) value = 0.5;
    }
    void infer_continuing(const Observation& observation, const ChunkPrefix& previous,
                          ActionChunk& chunk) override {
      seen.assign(previous.values.begin(), previous.values.end());
      delay = previous.delay;
      infer(observation, chunk);
    }
    std::vector<double> seen;
    int delay = 0;
  };
  const auto policy = std::make_shared<Relative>();
  auto anchored = std::make_unique<AnchoredSource>(policy, "state", std::vector{0, 2});
  AnchoredSource& source = *anchored;
  Observation observation;
  observation.set("state", std::array{1.0, 2.0, 4.0});
  ActionChunk chunk;
  source.infer(observation, chunk);
  CHECK(chunk.row(1)[0] == 1.5);
  CHECK(chunk.row(1)[1] == 0.5);
  CHECK(chunk.row(1)[2] == 4.5);
  const std::vector<double> plan{1, 1, 1, 2, 2, 2};
  source.infer_continuing(observation, {.values = plan, .rows = 2, .delay = 1, .end = 2}, chunk);
  CHECK(policy->seen == std::vector<double>{0, 1, -3, 1, 2, -2});
  CHECK(policy->delay == 1);
  CHECK(chunk.row(0)[2] == 4.5);

  CHECK_THROWS_AS(AnchoredSource(policy, "state", {0}), VlaRtError);  // in use
  anchored.reset();
  CHECK_THROWS_AS(AnchoredSource(nullptr, "state", {0}), ConfigError);
  CHECK_THROWS_AS(AnchoredSource(policy, "state", {0, 0}), ConfigError);
  CHECK_THROWS_AS(AnchoredSource(policy, "state", {-1}), ConfigError);
  CHECK_THROWS_AS(AnchoredSource(policy, "pose", {0}).infer(observation, chunk), ConfigError);
  observation.set("state", std::array{1.0, 2.0});
  CHECK_THROWS_AS(AnchoredSource(policy, "state", {2}).infer(observation, chunk), ConfigError);
  observation.set("state", std::array{1.0, 2.0, 3.0, 4.0});
  CHECK_THROWS_AS(AnchoredSource(policy, "state", {3}).infer(observation, chunk), ConfigError);
}
