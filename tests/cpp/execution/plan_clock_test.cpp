#include "execution/plan_clock.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

using namespace vla_rt;
using execution::PlanClock;

namespace {

constexpr TimeNs kPeriod = 1'000'000, kStart = 5 * kNsPerSecond;

}  // namespace

TEST_CASE("ticks in time ask for the present, to the nanosecond") {
  PlanClock clock(kPeriod);
  for (int k = 0; k < 1000; ++k) {
    REQUIRE(clock.advance(kStart + k * kPeriod) == kStart + k * kPeriod);
    REQUIRE(clock.rate() == 1);
  }
}

TEST_CASE("a late tick is made up for with a continuous rate") {
  for (const TimeNs late : {1, 5, 20, 100, 400}) {
    PlanClock clock(kPeriod);
    TimeNs now = kStart, before = clock.advance(now);
    double rate = 1;
    for (int k = 0; k < 3000; ++k) {
      now += kPeriod;
      if (k == 100) now += late * kPeriod;
      const TimeNs asked = clock.advance(now);
      REQUIRE(asked > before);
      REQUIRE(asked <= now + 2 * kPeriod);
      REQUIRE(to_seconds(asked - before) == doctest::Approx(1e-3 * clock.rate()).epsilon(1e-5));
      // Critically damped from a standing lag: the rate changes by at most lag / time constant^2 per second.
      REQUIRE(std::fabs(clock.rate() - rate) <= 1e-3 * (late * 1e-3 / (0.05 * 0.05)) * 1.001);
      rate = clock.rate();
      before = asked;
    }
    CHECK(now - before <= 50);
    CHECK(now - before >= -50);
  }
}

TEST_CASE("a clock that runs otherwise than the ticks is followed") {
  for (const double ratio : {0.97, 1.001, 1.05}) {
    PlanClock clock(kPeriod);
    TimeNs asked = clock.advance(kStart);
    for (int k = 1; k < 5000; ++k) asked = clock.advance(kStart + from_seconds(k * 1e-3 * ratio));
    // The steady lag of a second order filter behind a ramp: 2 time constants * rate difference.
    const double lag = to_seconds(kStart) + 4.999 * ratio - to_seconds(asked);
    CHECK(lag == doctest::Approx(2 * 0.05 * (ratio - 1)).epsilon(0.05));
  }
}

TEST_CASE("a clock that stands still, jumps, or is nonsense leads to no time before the last") {
  PlanClock clock(kPeriod);
  clock.advance(kStart);
  TimeNs asked = kStart;
  for (int k = 0; k < 1000; ++k) {
    const TimeNs next = clock.advance(kStart);
    REQUIRE(next >= asked);
    asked = next;
  }
  CHECK(asked < kStart + 120 * kPeriod);
  CHECK(clock.advance(kStart + 10 * kNsPerSecond) == kStart + 10 * kNsPerSecond);
  CHECK(clock.rate() == 1);
  asked = kStart + 10 * kNsPerSecond;
  for (const TimeNs nonsense : {INT64_MIN, TimeNs{0}, INT64_MAX, INT64_MIN}) {
    const TimeNs next = clock.advance(nonsense);
    CHECK(next >= asked);
    asked = next;
  }
}

TEST_CASE("long periods are stable too") {
  PlanClock clock(kNsPerSecond);
  TimeNs now = 0, asked = clock.advance(now);
  now += 400'000'000;
  for (int k = 0; k < 200; ++k) asked = clock.advance(now += kNsPerSecond);
  CHECK(std::abs(now - asked) < 1000);
}
