#include "vla_rt/execution/flight_recorder.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "execution/sine_policy.hpp"
#include "instruments/allocation_count.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/execution/control_loop.hpp"
#include "vla_rt/execution/flight_recording.hpp"
#include "vla_rt/execution/simulated_robot.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

constexpr TimeNs kMs = 1'000'000;

class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("vla_rt_flight_" + std::to_string(std::random_device{}()))) {
    std::filesystem::create_directory(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::vector<char> bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write(const std::string& path, std::span<const char> bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A controller ticked here, with late, jittery and noisy chunks, late ticks and bad measurements, all
// recorded; `lose` says which records never reach the recorder.
void fly(FlightRecorder& recorder, const ControllerConfig& config, int ticks,
         const std::function<bool(int tick)>& lose = {},
         const std::function<bool(int chunk)>& lose_chunk = {}) {
  Controller controller(config, seven_joint_limits());
  std::array<double, kJoints> home{};
  controller.reset(home);
  std::mt19937 random(7);
  std::normal_distribution<double> noise(0, 0.002);
  RobotState state;
  state.num_joints = kJoints;
  RobotCommand command;
  auto chunk = std::make_unique<FlightChunk>();
  FlightSnapshot snapshot;
  TimeNs now = 1'000 * kMs;
  std::uint64_t sequence = 0;
  for (int k = 0; k < ticks; ++k) {
    now += kMs;
    if (random() % 97 == 0) now += static_cast<TimeNs>(random() % 8) * kMs;  // a tick that was late
    if (random() % 60 == 0) {
      fill_sine(chunk->chunk, now - static_cast<TimeNs>(random() % 120) * kMs);
      for (int t = 0; t < 16; ++t)
        for (double& x : chunk->chunk.row(t)) x += noise(random);
      chunk->chunk.sequence = ++sequence;
      chunk->result = controller.push(chunk->chunk, &chunk->planned);
      if (!lose_chunk || !lose_chunk(static_cast<int>(sequence))) recorder.push(*chunk);
    }
    state.time_ns = random() % 211 == 0 ? now - 500 * kMs : now;  // stale: the stop for a tick
    controller.tick(now, state, command);
    FlightTick tick;
    tick.head.tick = static_cast<std::uint64_t>(k);
    tick.head.time_ns = now;
    tick.head.plan_ns = controller.plan_time();
    tick.head.plan_rate = controller.plan_rate();
    tick.head.plan_number = controller.executor().plan_number();
    tick.head.chunk_sequence = controller.executor().sequence();
    tick.head.num_joints = kJoints;
    tick.head.status = command.status;
    tick.head.follows_plan = controller.follows_plan();
    const auto put = [&](FlightSignal which, const double* values) {
      std::copy_n(values, kJoints, tick.signal(which).begin());
    };
    put(FlightSignal::MeasuredPosition, state.position.data());
    put(FlightSignal::Target, controller.target().data());
    put(FlightSignal::TargetVelocity, controller.target_velocity().data());
    put(FlightSignal::CommandPosition, command.position.data());
    put(FlightSignal::CommandVelocity, command.velocity.data());
    put(FlightSignal::CommandAcceleration, command.acceleration.data());
    state.position = command.position;
    // Ticks come faster here than a recorder is made for.
    for (; k % 100 == 0 && recorder.pending() > 0;) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (lose && lose(k)) continue;
    if (recorder.wants_snapshot(tick.head.tick)) {
      snapshot.tick = tick.head.tick;
      controller.enforcer().save(snapshot.enforcer);
      recorder.push(snapshot);
    }
    recorder.push(tick);
  }
}

FlightSetup setup_for(const ControllerConfig& config) {
  const Controller controller(config, seven_joint_limits());
  return {.period_s = config.period_s,
          .limits = seven_joint_limits(),
          .enforcer = config.enforcer,
          .executor = controller.executor().config()};
}

std::string record(const std::string& path, const ControllerConfig& config, int ticks,
                   const std::function<bool(int)>& lose = {},
                   const std::function<bool(int)>& lose_chunk = {}) {
  FlightRecorder recorder(path, setup_for(config));
  fly(recorder, config, ticks, lose, lose_chunk);
  recorder.close();
  REQUIRE(recorder.dropped() == 0);
  return path;
}

}  // namespace

TEST_CASE("executor and enforcer replay bit by bit, in every mode") {
  const Folder folder;
  ControllerConfig config = controller_config();
  SUBCASE("receding") { config.executor.execution_horizon = 8; }
  SUBCASE("async") { config.executor.mode = ExecutionMode::Async; }
  SUBCASE("average") {
    config.executor.mode = ExecutionMode::Async;
    config.executor.merge = Merge::Average;
  }
  SUBCASE("ensemble") { config.executor.mode = ExecutionMode::Ensemble; }
  SUBCASE("rtc, quintic, path-preserving") {
    config.executor.mode = ExecutionMode::Rtc;
    config.executor.interpolation = Interpolation::Quintic;
    config.enforcer.path_preserving = true;
  }
  SUBCASE("decelerating, smoothed") {
    config.executor.on_starvation = StarvationPolicy::Decelerate;
    config.executor.limits = seven_joint_limits();
    config.enforcer.smoothing_s = 0.01;
  }
  SUBCASE("rotations and discrete dims") {
    config.executor.mode = ExecutionMode::Async;
    config.executor.rotation_dims = {{.first = 0, .format = RotationFormat::RotationVector}};
    config.executor.discrete_dims = {6};
  }
  const FlightRecording recording(record(folder.file("run"), config, 3000));
  CHECK(recording.num_ticks() == 3000);
  CHECK(recording.chunks().size() > 30);
  CHECK(recording.cut_bytes() == 0);
  const FlightReplay replay = recording.replay();
  if (replay.difference)
    MESSAGE("tick ", replay.difference->tick, " signal ", static_cast<int>(replay.difference->signal), ": ",
            replay.difference->recorded, " ", replay.difference->replayed);
  CHECK_FALSE(replay.difference.has_value());
  CHECK(replay.ticks == 3000);
  CHECK(replay.executor_ticks == 3000);
  CHECK(replay.enforcer_ticks == 3000);
  CHECK(replay.gaps == 0);
}

TEST_CASE("a replay names the first number that differs") {
  const Folder folder;
  const ControllerConfig config = controller_config();
  std::vector<char> bytes = bytes_of(record(folder.file("run"), config, 1500));
  // Another jerk limit in the set-up than the run had: the commands differ soon, the wishes never.
  FlightSetup setup = setup_for(config);
  setup.limits.max_jerk[3] *= 1.0000001;
  {
    FlightRecorder recorder(folder.file("other"), setup);
    fly(recorder, config, 1500);
  }
  const FlightReplay replay = FlightRecording(folder.file("other")).replay();
  REQUIRE(replay.difference.has_value());
  CHECK(replay.difference->joint == 3);
  CHECK(replay.difference->signal >= FlightSignal::CommandPosition);
  CHECK(replay.difference->tick > 0);
  CHECK(replay.ticks == replay.difference->tick + 1);
}

TEST_CASE("a replay goes on after ticks that were dropped, and after chunks that were") {
  const Folder folder;
  ControllerConfig config = controller_config();
  SUBCASE("ticks") {
    const FlightRecording recording(
        record(folder.file("run"), config, 6000, [](int k) { return k >= 1500 && k < 1700; }));
    const FlightReplay replay = recording.replay();
    CHECK_FALSE(replay.difference.has_value());
    CHECK(replay.gaps == 1);
    CHECK(replay.missing_ticks == 200);
    REQUIRE(replay.resumed.size() == 1);
    CHECK(replay.resumed[0] == 2001);  // after the next snapshot
    CHECK(replay.enforcer_ticks == 1500 + 3999);
    CHECK(replay.executor_ticks > 5600);
  }
  SUBCASE("chunks") {
    SUBCASE("receding") {}
    SUBCASE("receding early") { config.executor.execution_horizon = 4; }
    SUBCASE("async") { config.executor.mode = ExecutionMode::Async; }
    SUBCASE("ensemble") { config.executor.mode = ExecutionMode::Ensemble; }
    const FlightRecording recording(
        record(folder.file("run"), config, 9000, {}, [](int n) { return n > 20 && n < 26; }));
    const FlightReplay replay = recording.replay();
    CHECK_FALSE(replay.difference.has_value());
    CHECK(replay.missing_chunks > 1);
    CHECK(replay.enforcer_ticks == 9000);
    if (config.executor.mode != ExecutionMode::Ensemble) CHECK(replay.executor_ticks > 6000);
    CHECK(replay.executor_ticks < 9000);
  }
}

TEST_CASE("a plan from before the file is not taken for known while it is held") {
  const Folder folder;
  ControllerConfig config = controller_config();
  config.executor.mode = ExecutionMode::Async;
  FlightSetup setup = setup_for(config);
  setup.part = 1;
  int last_lost = 45;  // about three seconds without a chunk, longer than any plan
  SUBCASE("chunks come again") {}
  SUBCASE("no chunk at all") { last_lost = 1000; }
  {
    FlightRecorder recorder(folder.file("run"), setup);
    fly(recorder, config, 6000, {}, [&](int n) { return n <= last_lost; });
  }
  const FlightRecording recording(folder.file("run"));
  REQUIRE(recording.chunks().empty() == (last_lost == 1000));
  const FlightReplay replay = recording.replay();
  CHECK_FALSE(replay.difference.has_value());
  CHECK(replay.enforcer_ticks == 5999);
  CHECK((replay.executor_ticks > 500) == (last_lost == 45));
}

TEST_CASE("a recording that was cut anywhere opens up to its last whole record") {
  const Folder folder;
  const std::vector<char> whole = bytes_of(record(folder.file("run"), controller_config(), 6));
  const std::string path = folder.file("cut");
  std::uint64_t last = 0;
  std::size_t opened = 0;
  for (std::size_t n = 0; n <= whole.size(); ++n) {
    write(path, std::span(whole).first(n));
    try {
      const FlightRecording recording(path);
      ++opened;
      CHECK(recording.num_ticks() >= last);
      CHECK(recording.num_ticks() <= last + 1);
      CHECK(recording.cut_bytes() < 2000);
      last = recording.num_ticks();
    } catch (const FormatError&) {
      CHECK(opened == 0);  // only while the set-up is not there
    }
  }
  CHECK(last == 6);
  CHECK(opened > 3000);
}

TEST_CASE("bytes that were changed end the recording where they are, and crash nothing") {
  const Folder folder;
  const std::vector<char> whole = bytes_of(record(folder.file("run"), controller_config(), 200));
  const std::string path = folder.file("spoilt");
  std::mt19937 random(3);
  for (int k = 0; k < 400; ++k) {
    std::vector<char> bytes = whole;
    for (int n = 0; n < 3; ++n) bytes[random() % bytes.size()] = static_cast<char>(random());
    write(path, bytes);
    try {
      const FlightRecording recording(path);
      CHECK(recording.num_ticks() <= 200);
      (void)recording.replay();
    } catch (const FormatError&) {
    }
  }
}

TEST_CASE("a file that grows beyond its bound becomes the part before, and both replay") {
  const Folder folder;
  ControllerConfig config = controller_config();
  SUBCASE("receding") {}
  SUBCASE("async") { config.executor.mode = ExecutionMode::Async; }
  FlightRecorder recorder(folder.file("run"), setup_for(config), 4u << 20);
  fly(recorder, config, 9000);
  recorder.close();
  const std::uint64_t size =
      std::filesystem::file_size(folder.file("run")) + std::filesystem::file_size(folder.file("run.1"));
  CHECK(size < (4u << 20) + (3u << 20));
  const FlightRecording newest(folder.file("run"));
  CHECK(newest.setup().part > 0);
  for (const char* name : {"run", "run.1"}) {
    const FlightReplay replay = FlightRecording(folder.file(name)).replay();
    CHECK_FALSE(replay.difference.has_value());
    CHECK(replay.enforcer_ticks + 1 >= replay.ticks);
    if (replay.ticks > 3000) CHECK(replay.executor_ticks > replay.ticks / 4);
  }
}

TEST_CASE("recording allocates nothing on the threads that hand over, and counts what the ring cannot take") {
  const Folder folder;
  FlightRecorder recorder(folder.file("run"), setup_for(controller_config()));
  FlightTick tick;
  tick.head.num_joints = kJoints;
  auto chunk = std::make_unique<FlightChunk>();
  fill_sine(chunk->chunk, 0);
  const long before = allocations();
  for (int k = 0; k < 100'000; ++k) recorder.push(tick);
  for (int k = 0; k < 1000; ++k) recorder.push(*chunk);
  CHECK(allocations() == before);
  recorder.close();
  CHECK(recorder.dropped() > 0);
  CHECK(recorder.written() + recorder.dropped() == 101'000);
}

TEST_CASE("a disk that is full drops records, leaves whole ones, and is written again when there is room") {
  const Folder folder;
  const std::string path = folder.file("run");
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit limit = before;
  limit.rlim_cur = 100'000;
  FlightRecorder recorder(path, setup_for(controller_config()));
  FlightTick tick;
  tick.head.num_joints = kJoints;
  const auto push = [&](std::uint64_t from, std::uint64_t to) {
    for (tick.head.tick = from; tick.head.tick < to; ++tick.head.tick) {
      recorder.push(tick);
      while (tick.head.tick % 20 == 0 && recorder.pending() > 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  setrlimit(RLIMIT_FSIZE, &limit);
  push(0, 1000);
  setrlimit(RLIMIT_FSIZE, &before);
  push(1000, 1100);
  recorder.close();
  std::signal(SIGXFSZ, previous);
  CHECK(recorder.dropped() > 0);
  CHECK(recorder.dropped() < 1000);
  const FlightRecording recording(path);
  CHECK(recording.cut_bytes() == 0);
  CHECK(recording.num_ticks() == recorder.written());
  std::uint64_t last = 0;
  recording.for_each_tick([&](const FlightTick& record) {
    last = record.head.tick;
    return true;
  });
  CHECK(last == 1099);
}

TEST_CASE("a file ends without a snapshot too, and the next one begins as soon as it can be made") {
  const Folder folder;
  const std::string path = folder.file("run");
  constexpr std::uint64_t kBound = 2u << 20;
  FlightRecorder recorder(path, setup_for(controller_config()), kBound);
  FlightTick tick;
  tick.head.num_joints = kJoints;
  const auto push = [&](std::uint64_t to) {
    for (; tick.head.tick < to; ++tick.head.tick) {
      recorder.push(tick);
      while (tick.head.tick % 100 == 0 && recorder.pending() > 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);  // no other file can be opened
  push(10'000);
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK(recorder.dropped() > 1000);
  push(12'000);
  recorder.close();
  CHECK(recorder.written() + recorder.dropped() == 12'000);
  CHECK(std::filesystem::file_size(path + ".1") < kBound / 2 + (2u << 20));
  CHECK(std::filesystem::file_size(path + ".1") > kBound / 2);
  const FlightRecording part(path + ".1"), newest(path);
  CHECK(newest.setup().part == 1);
  CHECK(newest.num_ticks() >= 1900);
  CHECK(part.num_ticks() + newest.num_ticks() == recorder.written());
}

TEST_CASE("a recorder refuses what it cannot write") {
  const FlightSetup setup = setup_for(controller_config());
  CHECK_THROWS_AS(FlightRecorder("/dev/full", setup), ConfigError);
  CHECK_THROWS_WITH_AS(FlightRecorder("/nowhere/run", setup),
                       "record = /nowhere/run: cannot be written: No such file or directory", ConfigError);
  CHECK_THROWS_AS(FlightRecorder("/tmp/unused", setup, 1000), ConfigError);
}

TEST_CASE("a control loop records itself") {
  const Folder folder;
  std::array<double, kJoints> home{};
  ControlConfig config = loop_config();
  config.record = folder.file("run");
  ControlLoop loop(std::make_shared<SimulatedRobot>(config.limits, home), std::make_shared<SinePolicy>(),
                   config);
  const RunReport report = loop.run(0.7);
  CHECK(report.unrecorded == 0);
  const FlightRecording recording(config.record);
  CHECK(recording.num_ticks() == report.ticks);
  CHECK(recording.chunks().size() >= report.inference.chunks);
  const FlightReplay replay = recording.replay();
  CHECK_FALSE(replay.difference.has_value());
  CHECK(replay.enforcer_ticks == report.ticks);
  CHECK(replay.executor_ticks == report.ticks);
}
