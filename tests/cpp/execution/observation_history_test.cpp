#include "execution/observation_history.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "execution/sine_policy.hpp"
#include "vla_rt/execution/anchored_source.hpp"
#include "vla_rt/execution/inference_worker.hpp"
#include "vla_rt/execution/simulated_robot.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;
using execution::ObservationHistory;

namespace {

constexpr TimeNs kMs = 1'000'000, kPeriod = 100 * kMs;

Observation at(TimeNs time_ns) {
  Observation observation;
  observation.time_ns = time_ns;
  observation.set("state", std::array{to_seconds(time_ns), 0.0});
  return observation;
}

std::vector<float> states(const Observation& window) {
  const TensorView value = window.at("state");
  REQUIRE(value.shape.size() == 2);
  const auto* data = static_cast<const float*>(value.data);
  std::vector<float> found;
  for (std::int64_t k = 0; k < value.shape[0]; ++k) found.push_back(data[2 * k]);
  return found;
}

// Remembers the state's first joint at every time of the windows that it is shown.
class Watcher final : public ChunkSource {
 public:
  [[nodiscard]] ObservationWindow window() const noexcept override { return {3, 40 * kMs}; }
  void infer(const Observation& observation, ActionChunk& chunk) override {
    const TensorView state = observation.at("observation.state");
    REQUIRE(std::vector<std::int64_t>(state.shape.begin(), state.shape.end()) ==
            std::vector<std::int64_t>{3, kJoints});
    const auto* data = static_cast<const float*>(state.data);
    seen.push_back({static_cast<double>(data[0]), static_cast<double>(data[kJoints]),
                    static_cast<double>(data[2 * kJoints])});
    fill_sine(chunk, observation.time_ns, 16);
  }
  std::vector<std::array<double, 3>> seen;
};

}  // namespace

TEST_CASE("the past is found by its time, and the oldest stands in for what was never seen") {
  ObservationHistory history({3, kPeriod});
  CHECK(states(history.until(at(kPeriod))) == std::vector<float>{0.1F, 0.1F, 0.1F});
  for (TimeNs t = 0; t <= 10 * kPeriod; t += history.interval_ns()) history.add(at(t));
  CHECK(states(history.until(at(10 * kPeriod))) == std::vector<float>{0.8F, 0.9F, 1.0F});
  // between two that are kept: not further off than half of their distance
  const std::vector<float> found = states(history.until(at(10 * kPeriod + 10 * kMs)));
  CHECK(found.back() == doctest::Approx(1.01));
  CHECK(std::abs(found[0] - 0.81F) <= 0.0126F);
  CHECK(std::abs(found[1] - 0.91F) <= 0.0126F);
  // long after: nothing but the present is near enough to be better than the newest that is kept
  CHECK(states(history.until(at(100 * kPeriod))).back() == doctest::Approx(10.0));
}

TEST_CASE("a feature that has another shape now is taken as it is now") {
  ObservationHistory history({2, kPeriod});
  Observation before = at(0), now = at(kPeriod);
  before.set("image", std::array{1.0});
  now.set("image", std::array{2.0, 3.0});
  history.add(before);
  const TensorView image = history.until(now).at("image");
  const auto* data = static_cast<const float*>(image.data);
  CHECK(std::vector<float>(data, data + 4) == std::vector<float>{2, 3, 2, 3});
  CHECK(states(history.until(now)) == std::vector<float>{0.0F, 0.1F});
}

TEST_CASE("a worker shows a policy that looks back what was observed in between") {
  ControlConfig config = loop_config();
  config.inference.rate_hz = 5;
  Controller controller(config.controller, seven_joint_limits());
  auto robot = std::make_shared<SimulatedRobot>(seven_joint_limits(), std::array<double, kJoints>{});
  auto source = std::make_shared<Watcher>();
  InferenceWorker worker(robot, source, controller, config.inference);
  worker.start();
  const TimeNs begin = steady_now();
  while (steady_now() - begin < 700 * kMs) {
    RobotState state;
    state.num_joints = kJoints;
    state.time_ns = steady_now();
    state.position[0] = to_seconds(state.time_ns - begin);  // a joint that moves at 1 rad/s tells the time
    worker.post_state(state);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(worker.stop());
  REQUIRE(source->seen.size() >= 3);
  CHECK(source->seen.front()[0] == source->seen.front()[2]);
  int good = 0;  // a busy machine may keep the worker from looking in time
  for (const auto& [a, b, c] : source->seen) {
    CHECK(a <= b);
    CHECK(b <= c);
    good += std::abs(c - b - 0.04) < 0.015 && std::abs(b - a - 0.04) < 0.025;
  }
  CHECK(good >= 1);
}
