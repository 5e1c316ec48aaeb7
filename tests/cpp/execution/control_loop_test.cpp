#include "vla_rt/execution/control_loop.hpp"

#include <doctest/doctest.h>
#include <pthread.h>

#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "execution/sine_policy.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/mailbox_robot.hpp"
#include "vla_rt/execution/simulated_robot.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::shared_ptr<SimulatedRobot> simulated(double position = 0) {
  std::array<double, kJoints> q{};
  q.fill(position);
  return std::make_shared<SimulatedRobot>(seven_joint_limits(), q);
}

std::uint64_t count(const RunReport& report, Status status) {
  return report.status_counts[static_cast<std::size_t>(status)];
}

// Ticks that followed their wish after the last one of status `bad`.
std::size_t good_ticks_after(const RunReport& report, Status bad) {
  std::size_t good = 0;
  for (const Status status : report.trace.status)
    good = status == bad ? 0 : good + (status <= Status::Limited);
  return good;
}

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// Whatever happened, the commands kept the limits and ended at rest.
void check_safe(const RunReport& report) {
  CHECK(report.limit_violations == 0);
  const Trace& trace = report.trace;
  REQUIRE(trace.rows() > 0);
  const std::size_t last = (trace.rows() - 1) * kNumSignals * kJoints;
  for (std::size_t j = 0; j < kJoints; ++j) {
    CHECK(trace.values[last + static_cast<std::size_t>(Signal::CommandVelocity) * kJoints + j] == 0);
    CHECK(trace.values[last + static_cast<std::size_t>(Signal::CommandAcceleration) * kJoints + j] == 0);
  }
}

}  // namespace

TEST_CASE("a run follows its policy and ends at rest") {
  ControlLoop loop(simulated(), std::make_shared<SinePolicy>(), loop_config());
  const RunReport report = loop.run(1.5);
  check_safe(report);
  CHECK(report.ticks >= 1000);
  CHECK(report.duration_s >= 1.5);
  CHECK(report.duration_s < 3);
  CHECK(report.fault.reason == FaultReason::None);
  CHECK(report.fault_text.empty());
  CHECK_FALSE(report.interrupted);
  CHECK(report.inference.chunks >= 10);
  CHECK(report.inference.failures == 0);
  CHECK(report.seam.count >= 5);
  CHECK(report.tracking_rms > 0);
  CHECK(report.tracking_rms < 0.05);
  CHECK(report.limiting_rms < 0.05);
  CHECK(report.worst_limit_ratio[0] > 0.1);
  CHECK(report.worst_limit_ratio[0] <= 1);
  CHECK(report.ticks == report.trace.rows() + report.dropped_records);
  CHECK(report.compute.p50_us > 0);
  CHECK(count(report, Status::Ok) + count(report, Status::Limited) > 1000);
  std::uint64_t all = 0;
  for (const std::uint64_t n : report.status_counts) all += n;
  CHECK(all == report.ticks);
}

TEST_CASE("a loop runs again from where the robot is") {
  const auto robot = simulated(0.4);
  ControlLoop loop(robot, std::make_shared<SinePolicy>(), loop_config());
  check_safe(loop.run(0.3));
  const RunReport second = loop.run(0.3);
  check_safe(second);
  CHECK(second.ticks > 100);
  CHECK(second.ticks < 1000);
}

TEST_CASE("the trace keeps the newest part") {
  ControlConfig config = loop_config();
  config.trace_s = 0.2;
  ControlLoop loop(simulated(), std::make_shared<SinePolicy>(), config);
  const Trace trace = loop.run(0.5).trace;
  REQUIRE(trace.rows() == 200);
  for (std::size_t row = 1; row < trace.rows(); ++row) CHECK(trace.time_ns[row] > trace.time_ns[row - 1]);
  CHECK(trace.values.size() == 200 * kNumSignals * kJoints);
}

TEST_CASE("stopping the inference starves the plan, then the watchdog faults") {
  ControlConfig config = loop_config();
  config.controller.watchdog_s = 1.2;
  ControlLoop loop(simulated(), std::make_shared<SinePolicy>(), config);
  std::thread killer([&loop] {
    sleep_ms(400);
    loop.stop_inference();
  });
  const RunReport report = loop.run(30);
  killer.join();
  check_safe(report);
  CHECK(report.fault.reason == FaultReason::Watchdog);
  CHECK(report.fault_text.find("no fresh chunk") != std::string::npos);
  CHECK(count(report, Status::Starved) > 100);
  CHECK(report.duration_s < 10);
}

TEST_CASE("a NaN observation is refused, shown, and forgotten with the next good one") {
  const auto robot = simulated();
  ControlLoop loop(robot, std::make_shared<SinePolicy>(), loop_config());
  std::thread spoiler([&robot] {
    sleep_ms(300);
    robot->features().post("goal", std::array{0.0, kNan});
    sleep_ms(300);
    robot->features().post("goal", std::array{0.0, 0.0});
  });
  const RunReport report = loop.run(1.5);
  spoiler.join();
  check_safe(report);
  CHECK(report.fault.reason == FaultReason::None);
  CHECK(report.inference.refused >= 1);
  CHECK(report.inference.last_error == "observation: goal[1] = nan: must be finite");
  CHECK(count(report, Status::NonFinite) > 100);
  CHECK(report.inference.chunks > 6);
  CHECK(good_ticks_after(report, Status::NonFinite) > 50);
}

TEST_CASE("a chunk with a NaN is refused and the old plan goes on") {
  class Broken final : public ChunkSource {
   public:
    void infer(const Observation& observation, ActionChunk& chunk) override {
      good_.infer(observation, chunk);
      if (++calls_ > 3) chunk.row(2)[4] = kNan;
    }

   private:
    SinePolicy good_;
    int calls_ = 0;
  };
  ControlLoop loop(simulated(), std::make_shared<Broken>(), loop_config());
  const RunReport report = loop.run(1);
  check_safe(report);
  CHECK(report.inference.chunks == 3);
  CHECK(report.inference.refused > 2);
  CHECK(report.inference.last_error == "chunk[2][4] = nan: must be finite");
}

TEST_CASE("a chunk without a shape is a failure, not a crash") {
  class Shapeless final : public ChunkSource {
   public:
    void infer(const Observation& observation, ActionChunk& chunk) override {
      good_.infer(observation, chunk);
      ++calls_;
      if (calls_ == 2) chunk.horizon = kMaxHorizon + 1;
      if (calls_ == 3) chunk.action_dim = -1;
      if (calls_ == 4) chunk.period_ns = 0;
    }

   private:
    SinePolicy good_;
    int calls_ = 0;
  };
  ControlLoop loop(simulated(), std::make_shared<Shapeless>(), loop_config());
  const RunReport report = loop.run(0.8);
  check_safe(report);
  CHECK(report.inference.failures == 3);
  CHECK(report.inference.last_error == "chunk.period_ns = 0: must be > 0");
}

TEST_CASE("a policy that throws is counted with its text and asked again") {
  ControlLoop loop(simulated(), std::make_shared<SinePolicy>([](int call) {
                     static int asked = 0;
                     if (call == 3 && asked++ < 4) throw std::runtime_error("no such tensor");
                     if (call == 8) throw 42;
                   }),
                   loop_config());
  const RunReport report = loop.run(1.5);
  check_safe(report);
  CHECK(report.inference.failures >= 4);
  CHECK(report.inference.chunks == 8);
  CHECK(report.inference.last_error == "the policy threw something that is no std::exception");
  CHECK(report.fault.reason == FaultReason::None);
}

TEST_CASE("an inference that takes longer than the plan starves it, and the run goes on") {
  ControlLoop loop(simulated(), std::make_shared<SinePolicy>([](int call) {
                     if (call == 3) sleep_ms(2000);
                   }),
                   loop_config());
  const RunReport report = loop.run(4);
  check_safe(report);
  CHECK(report.fault.reason == FaultReason::None);
  CHECK(count(report, Status::Starved) > 1000);
  CHECK(report.inference.latency.max_us > 1.9e6);
  CHECK(good_ticks_after(report, Status::Starved) > 50);
}

TEST_CASE("a policy that never returns is left behind, and what it needs lives on") {
  struct Gate {
    std::atomic<bool> open{false}, left{false};
  };
  const auto gate = std::make_shared<Gate>();
  std::weak_ptr<Robot> robot_alive;
  {
    const auto robot = simulated();
    robot_alive = robot;
    ControlConfig config = loop_config();
    config.inference.stop_timeout_s = 0.05;
    ControlLoop loop(robot, std::make_shared<SinePolicy>([gate](int call) {
                       if (call < 2) return;
                       while (!gate->open) sleep_ms(1);
                       gate->left = true;
                     }),
                     config);
    const RunReport report = loop.run(1.2);
    check_safe(report);
    CHECK(report.inference_abandoned);
    CHECK(report.inference.chunks == 2);
    CHECK(count(report, Status::Starved) > 50);
  }
  CHECK_FALSE(robot_alive.expired());
  gate->open = true;
  for (int i = 0; i < 2000 && !robot_alive.expired(); ++i) sleep_ms(1);
  CHECK(gate->left);
  CHECK(robot_alive.expired());
}

TEST_CASE("a robot obeys one loop at a time, and a policy answers one") {
  const auto robot = simulated();
  const auto policy = std::make_shared<SinePolicy>();
  ControlLoop first(robot, policy, loop_config());
  ControlLoop second_on_robot(robot, std::make_shared<SinePolicy>(), loop_config());
  ControlLoop second_on_policy(simulated(), policy, loop_config());
  std::thread running([&first] { check_safe(first.run(0.5)); });
  sleep_ms(200);
  CHECK_THROWS_WITH_AS(second_on_robot.run(0.1), doctest::Contains("the robot is in use"), VlaRtError);
  CHECK_THROWS_WITH_AS(second_on_policy.run(0.1), doctest::Contains("the policy is in use"), VlaRtError);
  running.join();
  check_safe(second_on_robot.run(0.1));
  check_safe(second_on_policy.run(0.1));
}

TEST_CASE("a call that an earlier run gave up is not overlapped by another") {
  const auto gate = std::make_shared<std::atomic<bool>>(false);
  ControlConfig config = loop_config();
  config.inference.stop_timeout_s = 0.05;
  ControlLoop loop(simulated(), std::make_shared<SinePolicy>([gate](int call) {
                     while (call == 2 && !*gate) sleep_ms(1);
                   }),
                   config);
  CHECK(loop.run(0.5).inference_abandoned);
  CHECK_THROWS_WITH_AS(loop.run(0.1), doctest::Contains("has not returned"), VlaRtError);
  *gate = true;
  sleep_ms(100);
  check_safe(loop.run(0.1));
}

#ifndef __SANITIZE_ADDRESS__  // UBSan takes the handler of a forced unwinding, which binds no object, for an
                              // error
TEST_CASE("an inference thread that is killed ends in the watchdog's certified stop") {
  ControlConfig config = loop_config();
  config.controller.watchdog_s = 0.4;
  config.inference.stop_timeout_s = 0.05;
  ControlLoop loop(simulated(), std::make_shared<SinePolicy>([](int call) {
                     if (call == 3) pthread_exit(nullptr);
                   }),
                   config);
  const RunReport report = loop.run(10);
  check_safe(report);
  CHECK(report.fault.reason == FaultReason::Watchdog);
  CHECK(report.inference.chunks == 3);
  CHECK(report.duration_s < 5);
}

#endif

TEST_CASE("a plan that reaches beyond the watchdog's patience is renewed before it bites") {
  ControlConfig config = loop_config();
  config.controller.watchdog_s = 0.3;
  config.inference.rate_hz = 0;
  config.controller.executor.execution_horizon = 0;  // all rows: longer than the watchdog waits
  ControlLoop loop(simulated(), std::make_shared<SinePolicy>(), config);
  const RunReport report = loop.run(1.5);
  check_safe(report);
  CHECK(report.fault.reason == FaultReason::None);
  CHECK(report.inference.chunks >= 4);
}

TEST_CASE("a driver error faults with the driver's own words") {
  const auto robot = std::make_shared<MailboxRobot>(kJoints);
  std::atomic<bool> over{false};
  std::thread driver([&] {
    RobotState state;
    RobotCommand command;
    state.num_joints = kJoints;
    for (int i = 0; !over; ++i) {
      if (robot->latest_command(command)) state.position = command.position;
      state.time_ns = steady_now();
      robot->post_state(state);
      if (i == 500) robot->fail("encoder 3 lost");
      sleep_ms(1);
    }
  });
  ControlLoop loop(robot, std::make_shared<SinePolicy>(), loop_config());
  const RunReport report = loop.run(20);
  over = true;
  driver.join();
  check_safe(report);
  CHECK(report.fault.reason == FaultReason::DriverError);
  CHECK(report.fault_text == "driver error: encoder 3 lost");
  CHECK(report.duration_s < 5);
}

TEST_CASE("a robot that stops answering makes the tick stale, and no longer when it answers again") {
  // The driver goes by what it is commanded, not by the clock: it is silent until the 100th stale command,
  // and the run ends with the 100th good one after that.
  const auto robot = std::make_shared<MailboxRobot>(kJoints);
  std::atomic<bool> over{false}, recovered{false};
  std::thread driver([&] {
    RobotState state;
    RobotCommand command;
    state.num_joints = kJoints;
    std::uint64_t followed = 0, stale = 0, again = 0, newest = 0;
    while (!over) {
      if (robot->latest_command(command)) {
        state.position = command.position;
        if (std::exchange(newest, command.sequence) != command.sequence) {
          if (command.status == Status::Stale)
            ++stale;
          else if (command.status <= Status::Limited)
            ++(stale < 100 ? followed : again);
        }
      }
      recovered = again >= 100;
      if (followed < 100 || stale >= 100) {
        state.time_ns = steady_now();
        robot->post_state(state);
      }
      sleep_ms(1);
    }
  });
  ControlLoop loop(robot, std::make_shared<SinePolicy>(), loop_config());
  const RunReport report = loop.run(30, [&] { return recovered.load(); });
  over = true;
  driver.join();
  check_safe(report);
  CHECK(report.fault.reason == FaultReason::None);
  CHECK(recovered);
  CHECK(count(report, Status::Stale) >= 100);
}

TEST_CASE("an interruption ends in the certified stop, and so does an exception of whoever is asked") {
  ControlLoop loop(simulated(), std::make_shared<SinePolicy>(), loop_config());
  const TimeNs begin = steady_now();
  const auto after_400_ms = [begin] { return steady_now() - begin > 400'000'000; };
  const RunReport report = loop.run(60, after_400_ms);
  check_safe(report);
  CHECK(report.interrupted);
  CHECK(report.duration_s < 5);

  const TimeNs again = steady_now();
  CHECK_THROWS_WITH(loop.run(60,
                             [again]() -> bool {
                               if (steady_now() - again > 300'000'000)
                                 throw std::runtime_error("asked too often");
                               return false;
                             }),
                    "asked too often");
  check_safe(loop.run(0.2));

  std::thread stopper([&loop] {
    sleep_ms(200);
    loop.request_stop();
  });
  CHECK(loop.run(60,
                 [&loop] {
                   CHECK_THROWS_WITH(loop.run(1), "the control loop is running already");
                   return false;
                 })
            .interrupted);
  stopper.join();
}

TEST_CASE("nothing runs when the robot cannot start") {
  ControlConfig config = loop_config();
  config.first_state_timeout_s = 0.05;
  const auto silent = std::make_shared<MailboxRobot>(kJoints);
  ControlLoop waiting(silent, std::make_shared<SinePolicy>(), config);
  CHECK_THROWS_WITH_AS(waiting.run(1), doctest::Contains("within 0.05 s"), VlaRtError);
  CHECK(waiting.run(1, [] { return true; }).interrupted);
  silent->fail("no power");
  CHECK_THROWS_WITH_AS(waiting.run(1), doctest::Contains("no power"), VlaRtError);

  const auto outside = std::make_shared<MailboxRobot>(kJoints);
  RobotState state;
  state.num_joints = kJoints;
  state.position[2] = 2.9;
  outside->post_state(state);
  ControlLoop refused(outside, std::make_shared<SinePolicy>(), config);
  CHECK_THROWS_WITH_AS(refused.run(1), doctest::Contains("position[2] = 2.9"), ConfigError);
  RobotCommand command;
  CHECK_FALSE(outside->latest_command(command));
  CHECK_THROWS_WITH_AS(refused.run(0), doctest::Contains("duration_s = 0"), ConfigError);
  CHECK_THROWS_AS(refused.run(kNan), ConfigError);
}

TEST_CASE("parts that do not fit together are refused") {
  const auto policy = std::make_shared<SinePolicy>();
  CHECK_THROWS_WITH_AS(ControlLoop(std::make_shared<MailboxRobot>(6), policy, loop_config()),
                       "limits = 7 joints: must be the joints of the robot, 6", ConfigError);
  CHECK_THROWS_WITH_AS(ControlLoop(nullptr, policy, loop_config()), doctest::Contains("robot"), ConfigError);
  CHECK_THROWS_WITH_AS(ControlLoop(simulated(), nullptr, loop_config()), doctest::Contains("policy"),
                       ConfigError);
  ControlConfig config = loop_config();
  config.inference.rate_hz = -1;
  CHECK_THROWS_WITH_AS(ControlLoop(simulated(), policy, config), doctest::Contains("inference_rate_hz = -1"),
                       ConfigError);
  config = loop_config();
  config.realtime.priority = 0;
  CHECK_THROWS_WITH_AS(ControlLoop(simulated(), policy, config), doctest::Contains("priority = 0"),
                       ConfigError);
}
