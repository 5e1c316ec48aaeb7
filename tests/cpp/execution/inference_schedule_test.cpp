#include "execution/inference_schedule.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

using namespace vla_rt;
using execution::InferenceSchedule;

namespace {

constexpr TimeNs kMs = 1'000'000, kRow = 50 * kMs;

struct Handed {
  TimeNs latency, waited, remaining;  // of the plan when the chunk came; negative: starved so long
};

// One worker in simulated time: each observation as late as the schedule says, but not before the chunk
// before was handed over, which takes over at once.
std::vector<Handed> play(TimeNs row, int rows, int executed, int chunks,
                         const std::function<TimeNs(int call)>& latency) {
  InferenceSchedule schedule(to_seconds(row));
  std::vector<Handed> handed;
  TimeNs look = 0, over = 0, plan_end = 0;
  for (int call = 0; call < chunks; ++call) {
    const TimeNs took = latency(call), now = look + took;
    const TimeNs cursor = std::max<TimeNs>(0, std::min(now, plan_end) - look);
    handed.push_back({took, look - over, call == 0 ? 0 : plan_end - now});
    schedule.add(took, call == 0 ? -1 : cursor);
    over = now;
    plan_end = look + row * (rows - 1);
    look = std::max(over + kMs, schedule.next_observation(look + row * executed, plan_end));
  }
  return handed;
}

}  // namespace

TEST_CASE("the cold call says nothing, and the next inference follows at once") {
  InferenceSchedule schedule(0.05);
  CHECK(schedule.expected_delay() == 0);
  schedule.add(3000 * kMs, -1);
  CHECK(schedule.expected_rows() == 60);  // all there is to go by
  CHECK(schedule.next_observation(0, 0) < -1000 * kNsPerSecond);
  for (int i = 0; i < 10; ++i) schedule.add(120 * kMs, 120 * kMs);
  CHECK(schedule.expected_delay() == 120 * kMs);
  CHECK(schedule.expected_rows() == 3);
  CHECK(schedule.next_observation(1000 * kMs, 2000 * kMs) == (1000 - 120 - 5) * kMs);
}

TEST_CASE("the due time is met nearly always, the plan's end by the slowest") {
  InferenceSchedule schedule(0.05);
  for (int i = 0; i < 101; ++i) schedule.add((i == 60 ? 700 : 100) * kMs, -1);
  CHECK(schedule.expected_delay() == 100 * kMs);
  CHECK(schedule.next_observation(800 * kMs, 2000 * kMs) == (800 - 100 - 5) * kMs);
  CHECK(schedule.next_observation(800 * kMs, 900 * kMs) == (900 - 700 - 5) * kMs);
}

TEST_CASE("what passes while the plan stands still is no delay of the plan, but costs the same time") {
  InferenceSchedule schedule(0.05);
  for (int i = 0; i < 10; ++i) schedule.add(900 * kMs, 200 * kMs);
  CHECK(schedule.expected_delay() == 5 * kRow);  // four rows and the one under way
  CHECK(schedule.next_observation(2000 * kMs, 2000 * kMs) == (2000 - 900 - 5) * kMs);
}

TEST_CASE("a plan that can be renewed in time never starves, whatever the latencies") {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> unit(0, 1);
  for (int round = 0; round < 100; ++round) {
    const TimeNs row = from_seconds(0.005 + 0.1 * unit(random));
    const int rows = 4 + static_cast<int>(random() % 60);
    const int executed = 1 + static_cast<int>(random() % static_cast<unsigned>(rows));
    // Physically possible: two of the slowest inferences in a row, margins included, within one plan.
    const TimeNs slowest = (row * (rows - 1) - 10 * kMs) / 2;
    if (slowest < 2 * kMs) continue;
    const double typical = unit(random);
    const auto latency = [&](int call) {
      if (call == 0) return 3 * kNsPerSecond;  // cold
      if (call % 100 == 1) return slowest;     // remembered for 128 inferences
      const double some = unit(random) < 0.9 ? typical * unit(random) : unit(random);
      return std::max<TimeNs>(kMs, static_cast<TimeNs>(some * static_cast<double>(slowest)));
    };
    const std::vector<Handed> handed = play(row, rows, executed, 500, latency);
    for (std::size_t i = 3; i < handed.size(); ++i) REQUIRE(handed[i].remaining >= 0);
  }
}

TEST_CASE("the policy is asked when the remaining plan is the delay and a margin, no sooner") {
  for (const TimeNs took : {20 * kMs, 130 * kMs, 340 * kMs}) {
    const auto handed = play(kRow, 16, 15, 100, [took](int) { return took; });
    for (std::size_t i = 3; i < handed.size(); ++i) {
      CHECK(handed[i].remaining == 5 * kMs);
      CHECK(handed[i].waited == 15 * kRow - 2 * took - 5 * kMs);
    }
  }
}

TEST_CASE("a worker that has become slower starves once, one that has become quicker is trusted again") {
  const auto handed = play(kRow, 16, 15, 600, [](int call) { return (call / 200 == 1 ? 300 : 50) * kMs; });
  const auto starved = [&](std::size_t from, std::size_t to) {
    return std::count_if(handed.begin() + static_cast<std::ptrdiff_t>(from),
                         handed.begin() + static_cast<std::ptrdiff_t>(to),
                         [](const Handed& h) { return h.remaining < 0; });
  };
  CHECK(starved(3, 200) == 0);
  CHECK(starved(200, 400) == 1);
  CHECK(starved(400, 600) == 0);
  CHECK(handed[300].remaining == 5 * kMs);
  CHECK(handed[599].remaining == 5 * kMs);
}
