#include "vla_rt/execution/shared_memory_robot.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <thread>

#include "execution/seven_joints.hpp"
#include "execution/sine_policy.hpp"
#include "instruments/allocation_count.hpp"
#include "vla_rt/constraints/violation_counter.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/control_loop.hpp"
#include "vla_rt/execution/shared_memory.h"
#include "vla_rt/execution/shared_memory_driver.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

constexpr TimeNs kMs = 1'000'000;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string fresh_name() {
  static int count = 0;
  return "vla_rt_test_" + std::to_string(getpid()) + "_" + std::to_string(++count);
}

// The words themselves, as a peer that keeps to nothing sees them.
class RawSegment {
 public:
  explicit RawSegment(const std::string& name) {
    file_ = shm_open(("/" + name).c_str(), O_RDWR, 0);
    REQUIRE(file_ >= 0);
    memory_ = static_cast<vla_rt_shm*>(
        mmap(nullptr, sizeof(vla_rt_shm), PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0));
    REQUIRE(memory_ != MAP_FAILED);
  }
  ~RawSegment() {
    munmap(memory_, sizeof(vla_rt_shm));
    close(file_);
  }
  RawSegment(const RawSegment&) = delete;
  RawSegment& operator=(const RawSegment&) = delete;
  vla_rt_shm* operator->() const { return memory_; }
  [[nodiscard]] int file() const { return file_; }

 private:
  int file_;
  vla_rt_shm* memory_;
};

RobotState state_at(TimeNs time, double q = 0) {
  RobotState state;
  state.time_ns = time;
  state.num_joints = kJoints;
  std::fill_n(state.position.begin(), kJoints, q);
  return state;
}

RobotCommand command_of(const ConstraintEnforcer& enforcer, TimeNs time) {
  RobotCommand command;
  command.time_ns = time;
  command.num_joints = kJoints;
  std::ranges::copy(enforcer.position(), command.position.begin());
  std::ranges::copy(enforcer.velocity(), command.velocity.begin());
  std::ranges::copy(enforcer.acceleration(), command.acceleration.begin());
  return command;
}

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace

TEST_CASE("states and commands cross shared memory") {
  const std::string name = fresh_name();
  SharedMemoryDriver driver(name, seven_joint_limits());
  SharedMemoryRobot robot(name, 60);
  CHECK(robot.num_joints() == kJoints);
  CHECK(robot.limits().max_jerk == seven_joint_limits().max_jerk);
  robot.start();
  RobotState state;
  CHECK(robot.read(state) == ReadResult::NotReady);
  RobotState posted = state_at(5, 0.25);
  posted.velocity[6] = -0.5;
  driver.post_state(posted);
  CHECK(robot.read(state) == ReadResult::Fresh);
  CHECK(state.time_ns == 5);
  CHECK(state.sequence == 1);
  CHECK(state.num_joints == kJoints);
  CHECK(state.position[3] == 0.25);
  CHECK(state.velocity[6] == -0.5);
  CHECK(robot.read(state) == ReadResult::Unchanged);

  std::array<double, kJoints> q{}, dq{};
  q.fill(9);
  CHECK(driver.follow(0, q, dq) == DriverAdvice::Hold);
  CHECK(q[0] == 9);
  RobotCommand command{.time_ns = 7, .num_joints = kJoints};
  command.position[2] = 0.75;
  command.velocity[2] = 0.1;
  robot.write(command);
  CHECK(driver.follow(kMs, q, dq) == DriverAdvice::Follow);
  CHECK(q[2] == 0.75);
  CHECK(dq[2] == 0.1);
  CHECK(q[0] == 0);
}

TEST_CASE("reading, writing and following allocate nothing") {
  const std::string name = fresh_name();
  SharedMemoryDriver driver(name, seven_joint_limits());
  SharedMemoryRobot robot(name, 60);
  robot.start();
  RobotState state = state_at(0);
  RobotCommand command{.num_joints = kJoints};
  std::array<double, kJoints> q{}, dq{};
  bool broken = false;
  const long before = allocations();
  for (int k = 1; k <= 100; ++k) {
    state.time_ns = command.time_ns = k * kMs;
    driver.post_state(state);
    broken = broken || robot.read(state) == ReadResult::DriverError;
    robot.write(command);
    driver.follow(k * kMs, q, dq);
  }
  CHECK(allocations() == before);
  CHECK_FALSE(broken);
}

TEST_CASE("a segment is opened as hostile input") {
  const std::string name = fresh_name();
  CHECK_THROWS_WITH_AS(SharedMemoryRobot("a/b"), "name = a/b: must be 1 to 200 characters without '/'",
                       ConfigError);
  CHECK_THROWS_AS(SharedMemoryRobot(""), ConfigError);
  CHECK_THROWS_AS(SharedMemoryRobot(name, 0), ConfigError);
  CHECK_THROWS_AS(SharedMemoryRobot(name, kNan), ConfigError);
  CHECK_THROWS_AS(SharedMemoryRobot{name}, VlaRtError);  // there is none

  SharedMemoryDriver driver(name, seven_joint_limits());
  const RawSegment raw(name);
  const auto refused = [&](std::uint64_t& word, std::uint64_t value, const char* why) {
    const std::uint64_t before = word;
    word = value;
    std::string said;
    try {
      const SharedMemoryRobot robot(name);
    } catch (const FormatError& error) {
      said = error.what();
    }
    word = before;
    CHECK_MESSAGE(said.find(why) != std::string::npos, said);
  };
  refused(raw->magic, 1, "magic");
  refused(raw->version, 2, "version = 2: must be 1");
  refused(raw->size_bytes, 0, "size_bytes");
  refused(raw->num_joints, 0, "num_joints = 0");
  refused(raw->num_joints, 65, "num_joints = 65");
  refused(raw->num_joints, ~std::uint64_t{0}, "num_joints");
  refused(raw->max_velocity[3], 0, "max_velocity[3]");
  refused(raw->max_jerk[0], ~std::uint64_t{0}, "max_jerk[0] = nan");
  REQUIRE(ftruncate(raw.file(), 4096) == 0);
  CHECK_THROWS_AS(SharedMemoryRobot{name}, FormatError);
  REQUIRE(ftruncate(raw.file(), sizeof(vla_rt_shm)) == 0);
}

TEST_CASE("one driver and one controller have a segment, and what the dead leave is replaced") {
  const std::string name = fresh_name();
  SharedMemoryDriver driver(name, seven_joint_limits());
  CHECK_THROWS_AS(SharedMemoryDriver(name, seven_joint_limits()), VlaRtError);
  SharedMemoryRobot first(name), second(name);
  first.start();
  CHECK_THROWS_AS(second.start(), VlaRtError);
  first.stop();
  second.start();
  second.stop();

  const std::string left = fresh_name();
  if (fork() == 0) {
    const SharedMemoryDriver gone(left, seven_joint_limits());
    _exit(0);  // without a farewell
  }
  wait(nullptr);
  const SharedMemoryDriver heir(left, seven_joint_limits());
  CHECK_THROWS_AS(SharedMemoryDriver(fresh_name(), seven_joint_limits(), 0), ConfigError);
  CHECK_THROWS_AS(SharedMemoryDriver(fresh_name(), seven_joint_limits(), 0.1, 0.05), ConfigError);
  CHECK_THROWS_AS(SharedMemoryDriver(fresh_name(), JointLimits{}), ConfigError);
}

TEST_CASE("states that are torn or go back are refused and become a driver error") {
  const std::string name = fresh_name();
  SharedMemoryDriver driver(name, seven_joint_limits());
  SharedMemoryRobot robot(name, 0.03);
  robot.start();
  const RawSegment raw(name);
  driver.post_state(state_at(100, 0.1));
  RobotState state;
  REQUIRE(robot.read(state) == ReadResult::Fresh);

  SUBCASE("torn: the writer died in the middle") { raw->state.lock |= 1; }
  SUBCASE("backward in sequence") {
    driver.post_state(state_at(200, 0.2));
    REQUIRE(robot.read(state) == ReadResult::Fresh);
    raw->state.sequence = 1;
  }
  SUBCASE("backward in time") { driver.post_state(state_at(50, 0.2)); }
  const RobotState before = state;
  ReadResult result = ReadResult::Unchanged;
  for (int k = 0; k < 200 && result == ReadResult::Unchanged; ++k) {
    ++raw->driver_heartbeat;  // alive, and talking nonsense
    result = robot.read(state);
    CHECK(state.sequence == before.sequence);
    CHECK(state.position == before.position);
    sleep_ms(1);
  }
  CHECK(result == ReadResult::DriverError);
  CHECK(robot.refused() > 0);
  CHECK(robot.failure().find("nothing usable") != std::string::npos);
  robot.stop();
  driver.post_state(state_at(300));
  robot.start();  // another run, another chance
  CHECK(robot.read(state) == ReadResult::Fresh);
}

TEST_CASE("silence, an error of its own and the driver's end are told apart") {
  const std::string name = fresh_name();
  auto driver = std::make_unique<SharedMemoryDriver>(name, seven_joint_limits());
  SharedMemoryRobot robot(name, 0.03);
  robot.start();
  RobotState state;
  driver->post_state(state_at(1));
  REQUIRE(robot.read(state) == ReadResult::Fresh);
  SUBCASE("silent") {
    sleep_ms(40);
    CHECK(robot.read(state) == ReadResult::DriverError);
    CHECK(robot.failure().find("heartbeat stood still") != std::string::npos);
    driver->post_state(state_at(2));
    CHECK(robot.read(state) == ReadResult::DriverError);  // stays one
  }
  SUBCASE("reported") {
    driver->fail(17);
    CHECK(robot.read(state) == ReadResult::DriverError);
    CHECK(robot.failure() == "the driver reported error 17");
  }
  SUBCASE("ended") {
    driver.reset();
    CHECK(robot.read(state) == ReadResult::DriverError);
    CHECK(robot.failure() == "the driver has ended");
  }
}

TEST_CASE("a driver whose controller falls silent brings the robot to rest within the limits") {
  const std::string name = fresh_name();
  const JointLimits limits = seven_joint_limits();
  SharedMemoryDriver driver(name, limits, 0.0005, 0.02);
  SharedMemoryRobot robot(name, 60);
  robot.start();
  ConstraintEnforcer enforcer(limits, 0.001);
  std::array<double, kJoints> home{}, target{}, q{}, dq{};
  enforcer.reset(home);
  ViolationCounter judge(limits, 0.001);
  judge.reset(home);
  EnforcerReport report;
  TimeNs now = kMs;
  const int cut = 150;  // in full motion
  target.fill(2.5);
  for (int k = 0; k < cut; ++k, now += kMs) {
    enforcer.apply(target, {}, report);
    robot.write(command_of(enforcer, now));
    CHECK(driver.follow(now, q, dq) == DriverAdvice::Follow);
    judge.add(q);
  }
  REQUIRE(std::abs(dq[0]) > 0.5);
  DriverAdvice advice = DriverAdvice::Follow;
  for (int k = 0; k < 1000; ++k, now += kMs) {
    advice = driver.follow(now, q, dq);
    CHECK((advice == DriverAdvice::Late || advice == DriverAdvice::Stop));
    judge.add(q);
    enforcer.stop();  // what the controller would have done
    for (std::size_t j = 0; j < kJoints; ++j)
      CHECK(q[j] == doctest::Approx(enforcer.position()[j]).epsilon(1e-9));
  }
  CHECK(advice == DriverAdvice::Stop);
  CHECK(judge.total() == 0);
  CHECK(std::ranges::all_of(dq, [](double v) { return v == 0; }));

  // The same session is over for good; another one begins where the robot rests.
  robot.write(command_of(enforcer, now));
  CHECK(driver.follow(now, q, dq) == DriverAdvice::Stop);
  robot.stop();
  robot.start();
  now += kMs;
  CHECK(driver.follow(now, q, dq) == DriverAdvice::Hold);
  robot.write(command_of(enforcer, now));
  CHECK(driver.follow(now, q, dq) == DriverAdvice::Follow);
  robot.stop();  // in order, at rest
  CHECK(driver.follow(now + 100 * kMs, q, dq) == DriverAdvice::Hold);
  CHECK(driver.follow(now + 101 * kMs, q, dq) == DriverAdvice::Hold);
}

TEST_CASE("a command that was late is caught up with, without a jump") {
  const std::string name = fresh_name();
  const JointLimits limits = seven_joint_limits();
  SharedMemoryDriver driver(name, limits, 0.0005, 0.05);
  SharedMemoryRobot robot(name, 60);
  robot.start();
  ConstraintEnforcer enforcer(limits, 0.001);
  std::array<double, kJoints> home{}, target{}, q{}, dq{}, last{};
  enforcer.reset(home);
  EnforcerReport report;
  target.fill(2.5);
  double worst = 0;
  for (int k = 1; k <= 400; ++k) {
    const TimeNs now = k * kMs;
    if (k < 200 || k >= 210) {  // for 10 ms the controller does not tick
      enforcer.apply(target, {}, report);
      robot.write(command_of(enforcer, now));
    }
    const DriverAdvice advice = driver.follow(now, q, dq);
    CHECK(advice == (k < 200 || k >= 210 ? DriverAdvice::Follow : DriverAdvice::Late));
    worst = std::max(worst, std::abs(q[0] - last[0]) / 0.001);
    last = q;
  }
  CHECK(worst <= limits.max_velocity[0] * (1 + 1e-6));
  CHECK(q[0] == doctest::Approx(enforcer.position()[0]).epsilon(1e-12));
}

TEST_CASE("a driver refuses commands that are torn, not finite, out of reach or a leap") {
  const std::string name = fresh_name();
  SharedMemoryDriver driver(name, seven_joint_limits(), 0.0005, 0.02);
  SharedMemoryRobot robot(name, 60);
  robot.start();
  RobotCommand command{.time_ns = kMs, .num_joints = kJoints};
  std::array<double, kJoints> q{}, dq{};
  robot.write(command);
  REQUIRE(driver.follow(kMs, q, dq) == DriverAdvice::Follow);
  const RawSegment raw(name);
  command.time_ns = 2 * kMs;
  const auto spoil = [&](std::uint64_t& word, double value) {
    robot.write(command);
    std::memcpy(&word, &value, sizeof value);
  };
  SUBCASE("NaN") { spoil(raw->command.position[3], kNan); }
  SUBCASE("infinite velocity") { spoil(raw->command.velocity[0], std::numeric_limits<double>::infinity()); }
  SUBCASE("beyond the limits") { spoil(raw->command.position[6], 2.9); }
  SUBCASE("faster than the joint") { spoil(raw->command.velocity[6], 2.3); }
  SUBCASE("a leap within the limits") { spoil(raw->command.position[0], 0.5); }
  SUBCASE("a stop that takes longer than a life") { spoil(raw->command.stop_duration[1][2], 1e9); }
  SUBCASE("a stop that ends elsewhere") {
    spoil(raw->command.stop_jerk[2], 1e12);
    spoil(raw->command.stop_duration[0][2], 1);
  }
  const auto also = [](std::uint64_t& word, double value) { std::memcpy(&word, &value, sizeof value); };
  SUBCASE("a stop that leaves the limits and comes back") {  // 2.94 rad out in 4.2 s, and in again
    spoil(raw->command.acceleration[4], 1);
    also(raw->command.stop_jerk[4], -2 / 4.2);
    for (const int piece : {0, 2}) also(raw->command.stop_duration[piece][4], 4.2);
  }
  SUBCASE("a stop that still moves at its end") {
    spoil(raw->command.velocity[1], 0.5);
    for (auto& durations : raw->command.stop_duration) also(durations[1], 0);
  }
  SUBCASE("harder than the joint") { spoil(raw->command.acceleration[0], 10.1); }
  SUBCASE("more sudden than the joint") { spoil(raw->command.stop_jerk[0], 5001); }
  SUBCASE("a negative duration") { spoil(raw->command.stop_duration[0][2], -1); }
  SUBCASE("torn") {
    robot.write(command);
    raw->command.lock |= 1;
  }
  SUBCASE("a sequence that goes back") {
    robot.write(command);
    raw->command.sequence = 0;
  }
  for (int k = 2; k < 60; ++k) {
    ++raw->controller_heartbeat;
    const DriverAdvice advice = driver.follow(k * kMs, q, dq);
    CHECK(advice == (k <= 21 ? DriverAdvice::Late : DriverAdvice::Stop));
    for (std::size_t j = 0; j < kJoints; ++j) {
      CHECK(q[j] == 0);
      CHECK(dq[j] == 0);
    }
  }
}

TEST_CASE("a session word that changes in motion ends in the stop, not in a hold") {
  const std::string name = fresh_name();
  SharedMemoryDriver driver(name, seven_joint_limits(), 0.0005, 0.02);
  SharedMemoryRobot robot(name, 60);
  robot.start();
  RobotCommand command{.time_ns = kMs, .num_joints = kJoints};
  command.velocity.fill(1);
  std::array<double, kJoints> q{}, dq{};
  robot.write(command);
  REQUIRE(driver.follow(kMs, q, dq) == DriverAdvice::Follow);
  const RawSegment raw(name);
  double last = 0;
  for (int k = 2; k < 300; ++k) {
    raw->controller_session += 2;
    const DriverAdvice advice = driver.follow(k * kMs, q, dq);
    CHECK(q[0] >= last);
    last = q[0];
    if (advice == DriverAdvice::Hold) break;
    if (k < 50) CHECK(advice != DriverAdvice::Hold);
  }
  CHECK(dq[0] == 0);
}

TEST_CASE(
    "a run over shared memory follows its policy, and ends in a stop when the driver's process is killed") {
  const std::string name = fresh_name();
  const JointLimits limits = seven_joint_limits();
  const pid_t driver = fork();
  if (driver == 0) {  // a robot that is where it was told to be
    SharedMemoryDriver self(name, limits, 0.005, 0.2);
    RobotState state = state_at(steady_now());
    for (;;) {
      state.time_ns = steady_now();
      self.post_state(state);
      self.follow(state.time_ns, {state.position.data(), kJoints}, {state.velocity.data(), kJoints});
      sleep_ms(1);
    }
  }
  std::shared_ptr<SharedMemoryRobot> robot;
  for (int k = 0; !robot && k < 200; ++k) try {
      robot = std::make_shared<SharedMemoryRobot>(name, 0.5);
    } catch (const VlaRtError&) {
      sleep_ms(10);
    }
  REQUIRE(robot);
  ControlLoop loop(robot, std::make_shared<SinePolicy>(), loop_config());
  std::thread killer([driver] {
    sleep_ms(800);
    kill(driver, SIGKILL);
  });
  const RunReport report = loop.run(5);
  killer.join();
  waitpid(driver, nullptr, 0);
  shm_unlink(("/" + name).c_str());
  CHECK(report.fault.reason == FaultReason::DriverError);
  CHECK(report.fault_text.find("heartbeat stood still") != std::string::npos);
  CHECK(report.duration_s < 4);
  CHECK(report.ticks > 200);
  CHECK(report.limit_violations == 0);
  CHECK(report.inference.chunks > 2);
  const std::size_t last = (report.trace.rows() - 1) * kNumSignals * kJoints;
  for (std::size_t j = 0; j < kJoints; ++j)
    CHECK(report.trace.values[last + static_cast<std::size_t>(Signal::CommandVelocity) * kJoints + j] == 0);
}

TEST_CASE("a driver in motion comes to rest when the controller's process is killed") {
  const std::string name = fresh_name();
  const JointLimits limits = seven_joint_limits();
  SharedMemoryDriver driver(name, limits, 0.005, 0.5);
  driver.post_state(state_at(steady_now()));
  const pid_t controller = fork();
  if (controller == 0) {
    auto robot = std::make_shared<SharedMemoryRobot>(name, 10);
    ControlLoop loop(robot, std::make_shared<SinePolicy>(), loop_config());
    loop.run(20);
    _exit(0);
  }
  RobotState state = state_at(steady_now());
  const TimeNs begin = steady_now();
  bool killed = false, moved = false;
  DriverAdvice advice = DriverAdvice::Hold;
  while (steady_now() - begin < 20 * kNsPerSecond && advice != DriverAdvice::Stop) {
    state.time_ns = steady_now();
    driver.post_state(state);
    advice = driver.follow(state.time_ns, {state.position.data(), kJoints}, {state.velocity.data(), kJoints});
    moved = moved || std::abs(state.velocity[0]) > 0.1;
    if (moved && !killed && advice == DriverAdvice::Follow) {
      kill(controller, SIGKILL);
      killed = true;
    }
    sleep_ms(1);
  }
  waitpid(controller, nullptr, 0);
  CHECK(killed);
  CHECK(advice == DriverAdvice::Stop);
  for (int k = 0; k < 1000 && state.velocity[0] != 0; ++k) {
    driver.follow(steady_now(), {state.position.data(), kJoints}, {state.velocity.data(), kJoints});
    sleep_ms(1);
  }
  CHECK(state.velocity[0] == 0);
  CHECK(std::abs(state.position[0]) < 0.5);
}
