#include "vla_rt/rt/realtime_thread.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

RealtimeConfig modest() {
  RealtimeConfig config;
  config.lock_memory = false;  // for the whole process and for good: not in a test program
  return config;
}

/// Keeps what each tick was told, in memory of its own; sleeps in the ticks it is told to be late in.
class Recorder final : public PeriodicTask {
 public:
  explicit Recorder(std::size_t ticks) : times_(ticks) {}

  bool tick(const TickTime& time) noexcept override {
    times_[count_++] = time;
    if (count_ == 1) {
      scheduler_ = sched_getscheduler(0);
      sched_getaffinity(0, sizeof cpus_, &cpus_);
      pthread_sigmask(SIG_SETMASK, nullptr, &signals_);
    }
    if (count_ % late_every_ == 0) std::this_thread::sleep_for(late_by_);
    return count_ < times_.size();
  }

  std::size_t late_every_ = 1'000'000;
  std::chrono::microseconds late_by_{0};

  std::vector<TickTime> times_;
  std::size_t count_ = 0;
  int scheduler_ = -1;
  cpu_set_t cpus_{};
  sigset_t signals_{};
};

class Endless final : public PeriodicTask {
 public:
  bool tick(const TickTime&) noexcept override {
    ticks.fetch_add(1);
    return true;
  }
  std::atomic<int> ticks{0};
};

int first_allowed_cpu() {
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  int cpu = 0;
  while (!CPU_ISSET(static_cast<unsigned>(cpu), &set)) ++cpu;
  return cpu;
}

void check_grid(const std::vector<TickTime>& times, TimeNs period) {
  CHECK(times.front().index == 0);
  CHECK(times.front().missed == 0);
  for (std::size_t i = 0; i < times.size(); ++i) {
    REQUIRE(times[i].scheduled_ns == times[0].scheduled_ns + static_cast<TimeNs>(times[i].index) * period);
    REQUIRE(times[i].woke_ns >= times[i].scheduled_ns);
    if (i > 0) REQUIRE(times[i].index == times[i - 1].index + 1 + times[i].missed);
  }
}

}  // namespace

TEST_CASE("ticks lie on the grid and never come early, with any spin") {
  for (const TimeNs spin : {TimeNs{0}, TimeNs{200'000}, TimeNs{999'999}}) {
    RealtimeConfig config = modest();
    config.spin_ns = spin;
    Recorder task(100);
    RealtimeThread thread(config);
    thread.start(task);
    thread.join();
    CHECK_FALSE(thread.running());
    REQUIRE(task.count_ == 100);
    check_grid(task.times_, config.period_ns);
  }
}

TEST_CASE("a late tick skips to the next place of the grid and counts what it missed") {
  RealtimeConfig config = modest();
  Recorder task(60);
  task.late_every_ = 10;
  task.late_by_ = std::chrono::microseconds(3'500);
  RealtimeThread thread(config);
  thread.start(task);
  thread.join();
  check_grid(task.times_, config.period_ns);
  for (std::size_t i = 10; i < 60; i += 10) {
    CHECK(task.times_[i].missed >= 3);
    // The end of the late tick is before the next one: no place of the past is served.
    CHECK(task.times_[i].scheduled_ns >= task.times_[i - 1].woke_ns + 3'500'000);
  }
}

TEST_CASE("a tick that eats into the spin is followed by a plain sleep, never by an early tick") {
  class Long final : public PeriodicTask {
   public:
    bool tick(const TickTime& time) noexcept override {
      early += time.woke_ns < time.scheduled_ns;
      missed += time.missed;
      while (steady_now() < time.scheduled_ns + 900'000) {
      }
      rusage usage{};
      getrusage(RUSAGE_THREAD, &usage);
      if (++ticks == 1) first_sleeps = usage.ru_nvcsw;
      sleeps = usage.ru_nvcsw - first_sleeps;
      return ticks < 50;
    }
    long early = 0, missed = 0, ticks = 0, sleeps = 0, first_sleeps = 0;
  };
  Long task;
  RealtimeThread thread(modest());
  thread.start(task);
  thread.join();
  CHECK(task.early == 0);
  // Every tick comes after a sleep, unless it was so late that the deadline had come when it wanted to sleep.
  CHECK(task.sleeps + task.missed >= 25);
}

TEST_CASE("the grant says what is in force") {
  RealtimeConfig config = modest();
  config.cpu = first_allowed_cpu();
  config.priority = 42;
  Recorder task(3);
  RealtimeThread thread(config);
  thread.start(task);
  thread.join();
  const RealtimeGrant& grant = thread.grant();
  CHECK((task.scheduler_ & ~SCHED_RESET_ON_FORK) == (grant.fifo ? SCHED_FIFO : SCHED_OTHER));
  CHECK(grant.priority == (grant.fifo ? 42 : 0));
  REQUIRE(grant.affinity);
  CHECK(grant.cpu == *config.cpu);
  CHECK(CPU_COUNT(&task.cpus_) == 1);
  CHECK(CPU_ISSET(static_cast<unsigned>(*config.cpu), &task.cpus_));
  CHECK(grant.stack_prefaulted);
  CHECK_FALSE(grant.memory_locked);  // not asked for
  CHECK(grant.refused.size() ==
        static_cast<std::size_t>(!grant.fifo) + static_cast<std::size_t>(!grant.cpu_awake));
  CHECK(sigismember(&task.signals_, SIGINT) == 1);
  CHECK(sigismember(&task.signals_, SIGSEGV) == 0);
}

TEST_CASE("the stack is touched before the first tick") {
  class Deep final : public PeriodicTask {
   public:
    bool tick(const TickTime&) noexcept override {
      rusage before{}, after{};
      getrusage(RUSAGE_THREAD, &before);
      volatile char big[700'000];
      for (std::size_t i = 0; i < sizeof big; i += 512) big[i] = 1;
      getrusage(RUSAGE_THREAD, &after);
      faults = after.ru_minflt - before.ru_minflt;
      return false;
    }
    long faults = -1;
  };
  Deep task;
  RealtimeThread thread(modest());
  thread.start(task);
  thread.join();
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  CHECK(task.faults >= 0);  // the shadow memory of the sanitizer is not ours to touch
#else
  CHECK(task.faults == 0);
#endif
}

TEST_CASE("stop, start again, and destruction of a running thread") {
  Endless task;
  {
    RealtimeThread thread(modest());
    for (int round = 0; round < 3; ++round) {
      task.ticks = 0;
      thread.start(task);
      CHECK(thread.running());
      CHECK_THROWS_AS(thread.start(task), RealtimeError);
      while (task.ticks < 5) std::this_thread::yield();
      thread.request_stop();
      thread.join();
      CHECK_FALSE(thread.running());
      thread.join();  // nothing to wait for
    }
    thread.start(task);
  }
  const int ticks = task.ticks;
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(task.ticks == ticks);
}

TEST_CASE("enforcing what the kernel refuses throws and leaves nothing running") {
  // Which of the two happens depends on the user; tests/test_rt.py takes the privileges away.
  RealtimeConfig config = modest();
  config.mode = RealtimeMode::Enforce;
  Recorder task(3);
  RealtimeThread thread(config);
  try {
    thread.start(task);
    thread.join();
    CHECK(thread.grant().fifo);
    CHECK(task.count_ == 3);
  } catch (const RealtimeError& error) {
    CHECK_FALSE(thread.grant().fifo);
    CHECK(std::string(error.what()).find("SCHED_FIFO") != std::string::npos);
    CHECK(std::string(error.what()).find("limits.conf") != std::string::npos);
    CHECK(task.count_ == 0);
    CHECK_FALSE(thread.running());
  }
}

TEST_CASE("a bad configuration names field, value and bound") {
  const auto refuses = [](auto&& change, const char* field) {
    RealtimeConfig config;
    change(config);
    try {
      RealtimeThread thread(config);
      FAIL("accepted a bad " << field);
    } catch (const ConfigError& error) {
      CHECK(error.name() == field);
      CHECK_FALSE(error.value().empty());
      CHECK_FALSE(error.bound().empty());
    }
  };
  for (const int bad : {0, 100, -1}) refuses([&](RealtimeConfig& c) { c.priority = bad; }, "priority");
  for (const int bad : {-1, 1'000'000}) refuses([&](RealtimeConfig& c) { c.cpu = bad; }, "cpu");
  for (const TimeNs bad : {TimeNs{0}, TimeNs{-1}, TimeNs{9'999}, 10 * kNsPerSecond + 1})
    refuses([&](RealtimeConfig& c) { c.period_ns = bad; }, "period_ns");
  for (const TimeNs bad : {TimeNs{-1}, TimeNs{1'000'000}})
    refuses([&](RealtimeConfig& c) { c.spin_ns = bad; }, "spin_ns");
  for (const std::size_t bad : {std::size_t{0}, std::size_t{1} << 40})
    refuses([&](RealtimeConfig& c) { c.stack_bytes = bad; }, "stack_bytes");
  refuses([](RealtimeConfig& c) { c.mode = static_cast<RealtimeMode>(7); }, "mode");
}
