#include "vla_rt/execution/chunk_executor.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <thread>
#include <vector>

#include "instruments/allocation_count.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

constexpr TimeNs kMs = 1'000'000;

ChunkExecutorConfig config_of(int D, ExecutionMode mode) {
  ChunkExecutorConfig config;
  config.action_dim = D;
  config.period_s = 0.02;
  config.mode = mode;
  return config;
}

/// A chunk whose rows are `value(t, d)`.
template <class F>
std::unique_ptr<ActionChunk> make_chunk(int T, int D, TimeNs start, const F& value) {
  auto chunk = std::make_unique<ActionChunk>();
  chunk->resize(T, D);
  chunk->start_time_ns = start;
  chunk->period_ns = 20 * kMs;
  for (int t = 0; t < T; ++t)
    for (int d = 0; d < D; ++d) chunk->row(t)[static_cast<std::size_t>(d)] = value(t, d);
  return chunk;
}

struct Answer {
  double q, dq;
  Status status;
};

Answer ask(ChunkExecutor& executor, TimeNs now) {
  std::array<double, 1> q{}, dq{};
  const Status status = executor.at(now, q, dq);
  return {q[0], dq[0], status};
}

}  // namespace

TEST_CASE("ticks that race with pushes see one continuous motion") {
  constexpr int D = 3;
  constexpr TimeNs kTick = 100'000;
  constexpr int kTicks = 100'000;
  for (const Merge merge : {Merge::Crossfade, Merge::Replace, Merge::Crossfade}) {
    ChunkExecutorConfig config = config_of(D, ExecutionMode::Async);
    config.merge = merge;
    ChunkExecutor executor(config);
    const std::array<double, D> origin{};
    executor.reset(origin);

    std::atomic<TimeNs> clock{0};
    std::atomic<bool> done{false};
    std::thread pusher([&] {
      std::mt19937 random(7);
      std::uniform_real_distribution<double> level(-1, 1), ahead(-0.3, 0.02);
      auto chunk = make_chunk(100, D, 0, [](int, int) { return 0.0; });
      while (!done.load(std::memory_order_relaxed)) {
        for (int d = 0; d < D; ++d) {
          const double from = level(random), rate = level(random);
          for (int t = 0; t < chunk->horizon; ++t)
            chunk->row(t)[static_cast<std::size_t>(d)] = from + 0.02 * rate * t;
        }
        chunk->start_time_ns = clock.load(std::memory_order_relaxed) + from_seconds(ahead(random));
        executor.push(*chunk);
      }
    });

    // The plans are lines, so only the fades bend: jumps of at most 4 in position over 0.1 s.
    constexpr double dt = 1e-4, kMaxVelocity = 100, kMaxAcceleration = 60 * 4 / 0.01,
                     kMaxJerk = 200 * 4 / 0.001;
    std::array<double, D> q{}, dq{}, last_q{}, last_dq{}, last_ddq{};
    double worst_q = 0, worst_dq = 0, worst_ddq = 0, fastest = 0;
    for (int k = 0; k < kTicks; ++k) {
      while (executor.plan_end() < k * kTick + kNsPerSecond / 2) std::this_thread::yield();  // never starved
      clock.store(k * kTick, std::memory_order_relaxed);
      executor.at(k * kTick, q, dq);
      for (std::size_t d = 0; d < D && k > 1; ++d) {
        const double ddq = (dq[d] - last_dq[d]) / dt;
        worst_q = std::max(worst_q, std::fabs(q[d] - last_q[d] - 0.5 * dt * (dq[d] + last_dq[d])));
        worst_dq = std::max(worst_dq, std::fabs(ddq));
        if (k > 2) worst_ddq = std::max(worst_ddq, std::fabs(ddq - last_ddq[d]) / dt);
        last_ddq[d] = ddq;
        fastest = std::max(fastest, std::fabs(dq[d]));
      }
      last_q = q;
      last_dq = dq;
    }
    done = true;
    pusher.join();
    CHECK(worst_q < dt * dt * dt * kMaxJerk);
    CHECK(fastest < kMaxVelocity);
    CHECK(worst_dq < kMaxAcceleration);
    CHECK(worst_ddq < kMaxJerk);
    CHECK(executor.counters().accepted > 10);
    MESSAGE("pushes " << executor.counters().accepted << ", overtaken " << executor.counters().overtaken
                      << ", worst " << worst_q << " " << worst_dq << " " << worst_ddq);
  }
}

TEST_CASE("rotations that race with pushes stay rotations and turn continuously") {
  constexpr TimeNs kTick = 100'000;
  ChunkExecutorConfig config = config_of(5, ExecutionMode::Async);
  config.rotation_dims = {{1, RotationFormat::Quaternion}};
  ChunkExecutor executor(config);
  const std::array<double, 5> origin{0, 0, 0, 0, 1};
  executor.reset(origin);
  std::atomic<TimeNs> clock{0};
  std::atomic<bool> done{false};
  std::thread pusher([&] {
    std::mt19937 random(5);
    std::uniform_real_distribution<double> unit(-1, 1);
    auto chunk = make_chunk(100, 5, 0, [](int, int) { return 0.0; });
    while (!done.load(std::memory_order_relaxed)) {
      // Turns about z at up to 1 rad/s, written on either side of the double cover.
      const double from = unit(random), rate = unit(random), sign = unit(random) < 0 ? -1 : 1;
      for (int t = 0; t < chunk->horizon; ++t) {
        const double half = 0.5 * (from + 0.02 * rate * t);
        const std::array<double, 5> row{from, 0, 0, sign * std::sin(half), sign * std::cos(half)};
        std::copy(row.begin(), row.end(), chunk->row(t).begin());
      }
      chunk->start_time_ns = clock.load(std::memory_order_relaxed) + from_seconds(0.1 * unit(random));
      executor.push(*chunk);
    }
  });
  std::array<double, 5> q{}, dq{}, last = origin;
  double worst_norm = 0, fastest = 0, worst_rate = 0;
  for (int k = 0; k < 20'000; ++k) {
    while (executor.plan_end() < k * kTick + kNsPerSecond / 2) std::this_thread::yield();  // never starved
    clock.store(k * kTick, std::memory_order_relaxed);
    executor.at(k * kTick, q, dq);
    double norm = 0;
    for (std::size_t d = 1; d < 5; ++d) norm += q[d] * q[d];
    worst_norm = std::max(worst_norm, std::fabs(norm - 1));
    if (k > 0)
      for (std::size_t d = 1; d < 5; ++d) {
        const double rate = (q[d] - last[d]) / to_seconds(kTick);
        fastest = std::max(fastest, std::fabs(rate));
        worst_rate = std::max(worst_rate, std::fabs(rate - dq[d]));
      }
    last = q;
  }
  done = true;
  pusher.join();
  CHECK(worst_norm < 1e-12);
  CHECK(fastest < 100);   // 2 rad in 0.1 s, blended again and again
  CHECK(worst_rate < 1);  // a jump would be 1e4
  CHECK(executor.counters().accepted > 10);
  MESSAGE("pushes " << executor.counters().accepted << ", fastest " << fastest << ", " << worst_rate);
}

TEST_CASE("neither ticks nor pushes allocate") {
  for (const ExecutionMode mode :
       {ExecutionMode::Receding, ExecutionMode::Ensemble, ExecutionMode::Async, ExecutionMode::Rtc}) {
    constexpr int D = 14;
    ChunkExecutorConfig config = config_of(D, mode);
    if (mode == ExecutionMode::Async)
      config.rotation_dims = {{0, RotationFormat::Quaternion},
                              {4, RotationFormat::RotationVector},
                              {7, RotationFormat::Rotation6d}};
    ChunkExecutor executor(config);
    auto chunk = make_chunk(50, D, 0, [](int t, int d) { return std::sin(0.1 * t + d); });
    std::array<double, D> q{}, dq{};
    const long before = allocations();
    for (int k = 0; k < 2000; ++k) {
      if (k % 50 == 0) {
        chunk->start_time_ns = k * kMs;
        executor.push(*chunk);
      }
      executor.at(k * kMs, q, dq);
    }
    CHECK(allocations() == before);
    CHECK(executor.counters().splices > 0);
  }
}

TEST_CASE("discrete dims hold the current row") {
  ChunkExecutorConfig config = config_of(1, ExecutionMode::Async);
  config.discrete_dims = {0};
  ChunkExecutor executor(config);
  executor.push(*make_chunk(10, 1, 0, [](int t, int) { return t % 2; }));
  for (int k = 0; k < 180; ++k) {
    const Answer answer = ask(executor, k * kMs);
    CHECK(answer.q == (k / 20) % 2);
    CHECK(answer.dq == 0);
  }
  executor.push(*make_chunk(10, 1, 180 * kMs, [](int, int) { return 5; }));
  CHECK(ask(executor, 180 * kMs).q == 5);
}

TEST_CASE("what is refused changes nothing") {
  ChunkExecutor executor(config_of(2, ExecutionMode::Async));
  const auto good = [](int t, int d) { return 0.1 * t + d; };
  executor.push(*make_chunk(50, 2, 0, good));
  std::array<double, 2> q{}, dq{}, again{};
  executor.at(100 * kMs, q, dq);

  CHECK_THROWS_AS(executor.push(*make_chunk(50, 3, 100 * kMs, good)), ConfigError);
  for (const double bad : {NAN, INFINITY, -INFINITY})
    CHECK_THROWS_WITH_AS(executor.push(*make_chunk(
                             50, 2, 100 * kMs, [&](int t, int d) { return t == 7 && d == 1 ? bad : 0.0; })),
                         doctest::Contains("chunk[7][1]"), ConfigError);
  auto chunk = make_chunk(50, 2, 100 * kMs, good);
  chunk->period_ns = 10 * kMs;
  CHECK_THROWS_AS(executor.push(*chunk), ConfigError);
  chunk->period_ns = 20 * kMs;
  for (const int T : {0, -1, kMaxHorizon + 1}) {
    chunk->horizon = T;
    CHECK_THROWS_AS(executor.push(*chunk), ConfigError);
  }
  chunk->horizon = 50;
  for (const TimeNs start : {INT64_MAX, INT64_MIN}) {
    chunk->start_time_ns = start;
    CHECK_THROWS_AS(executor.push(*chunk), ConfigError);
  }
  chunk->start_time_ns = -2 * kNsPerSecond;
  CHECK(executor.push(*chunk) == PushResult::Past);
  chunk->start_time_ns = 100 * kMs + ChunkExecutor::kMaxLead + 1;
  CHECK(executor.push(*chunk) == PushResult::FarFuture);

  executor.at(100 * kMs, again, dq);
  CHECK(again == q);
  const ExecutorCounters counters = executor.counters();
  CHECK(counters.accepted == 1);
  CHECK(counters.refused_invalid == 10);
  CHECK(counters.dropped_chunks == 1);
  CHECK(counters.refused_future == 1);
  CHECK(counters.splices == 0);
}

TEST_CASE("a queue of chunks ahead is played in order, and has an end") {
  ChunkExecutor executor(config_of(1, ExecutionMode::Async));
  int accepted = 0;
  for (int k = 0; k < 8; ++k) {
    const PushResult result = executor.push(*make_chunk(6, 1, k * 120 * kMs, [&](int, int) { return k; }));
    CHECK((result == PushResult::Accepted || result == PushResult::QueueFull));
    accepted += result == PushResult::Accepted;
  }
  CHECK(accepted >= 3);
  for (int k = 0; k + 1 < accepted; ++k) {
    CHECK(ask(executor, (k * 120 + 101) * kMs).q == doctest::Approx(k));
    CHECK(ask(executor, (k * 120 + 119) * kMs).status == Status::Ok);
  }
  // One that begins no later replaces all that wait.
  const TimeNs now = executor.now();
  CHECK(executor.push(*make_chunk(50, 1, now, [](int, int) { return -1; })) == PushResult::Accepted);
  CHECK(ask(executor, now + 150 * kMs).q == -1);
}

TEST_CASE("a starved plan holds, or comes to rest within its limits") {
  const std::array<double, 1> lo{-3}, hi{3}, v{2}, a{5}, j{50};
  const double rate = 0.8;
  const auto line = [&](int t, int) { return rate * 0.02 * t; };
  ChunkExecutorConfig config = config_of(1, ExecutionMode::Async);
  {
    ChunkExecutor executor(config);
    executor.push(*make_chunk(50, 1, 0, line));
    CHECK(ask(executor, 980 * kMs).status == Status::Ok);
    const Answer answer = ask(executor, 981 * kMs);
    CHECK(answer.status == Status::Starved);
    CHECK(answer.q == line(49, 0));
    CHECK(answer.dq == 0);
    CHECK(executor.counters().starved_queries == 1);
    CHECK(executor.counters().starved_ns == kMs);
  }
  config.on_starvation = StarvationPolicy::Decelerate;
  CHECK_THROWS_AS(ChunkExecutor{config}, ConfigError);
  config.limits = JointLimits::make(lo, hi, v, a, j);
  ChunkExecutor executor(config);
  executor.push(*make_chunk(50, 1, 0, line));
  double last_dq = rate, last_q = 0, last_ddq = 0;
  for (int k = 980; k < 2000; ++k) {
    const Answer answer = ask(executor, k * kMs);
    CHECK(answer.status == (k > 980 ? Status::Starved : Status::Ok));
    const double ddq = (answer.dq - last_dq) / 1e-3;
    CHECK(std::fabs(ddq) <= 5 * (1 + 1e-9));
    CHECK(std::fabs(ddq - last_ddq) <= 50e-3 * (1 + 1e-6));
    if (k > 980) CHECK(answer.q == doctest::Approx(last_q + 0.5e-3 * (answer.dq + last_dq)).epsilon(1e-6));
    last_q = answer.q;
    last_dq = answer.dq;
    last_ddq = ddq;
  }
  CHECK(last_dq == 0);
}

TEST_CASE("before the first chunk both ways to starve stand at the reset position") {
  const std::array lo{-9.0}, hi{9.0}, v{1.0}, a{5.0}, j{50.0};
  for (const StarvationPolicy starvation : {StarvationPolicy::Hold, StarvationPolicy::Decelerate}) {
    ChunkExecutorConfig config = config_of(1, ExecutionMode::Async);
    config.on_starvation = starvation;
    config.limits = JointLimits::make(lo, hi, v, a, j);
    ChunkExecutor executor(config);
    executor.reset(std::array{2.5});
    for (TimeNs t = 0; t < 100 * kMs; t += kMs) {
      CHECK(ask(executor, t).q == 2.5);
      CHECK(ask(executor, t).dq == 0);
    }
    executor.push(*make_chunk(10, 1, 100 * kMs, [](int, int) { return 2.5; }));
    for (TimeNs t = 100 * kMs; t < 250 * kMs; t += kMs) CHECK(ask(executor, t).q == doctest::Approx(2.5));
  }
}
