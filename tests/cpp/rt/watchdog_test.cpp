#include "vla_rt/rt/watchdog.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

TEST_CASE("a watchdog expires after more than its timeout without a feed") {
  Watchdog dog(100);
  CHECK_FALSE(dog.expired(1'000'000));  // asleep until the first feed
  dog.feed(1000);
  CHECK(dog.age(1040) == 40);
  CHECK_FALSE(dog.expired(1100));
  CHECK(dog.expired(1101));
  dog.feed(1101);
  CHECK_FALSE(dog.expired(1201));
  CHECK(dog.expired(1202));
  dog.reset();
  CHECK_FALSE(dog.expired(5000));
  CHECK(dog.age(5000) == 0);
}

TEST_CASE("time that goes backwards never expires a watchdog falsely") {
  Watchdog dog(100);
  dog.feed(1000);
  CHECK(dog.age(900) == 0);
  CHECK_FALSE(dog.expired(900));
  dog.feed(10);  // an old sign of life does not make the newest one older
  CHECK_FALSE(dog.expired(1100));
  CHECK(dog.expired(1101));
}

TEST_CASE("a watchdog survives the ends of time") {
  constexpr TimeNs kEnd = std::numeric_limits<TimeNs>::max();
  Watchdog dog(kEnd - 1);
  dog.feed(-kEnd);
  CHECK(dog.age(kEnd) == kEnd);
  CHECK(dog.expired(kEnd));
  CHECK_FALSE(dog.expired(-kEnd));
}

TEST_CASE("a timeout must be positive") {
  for (const TimeNs bad : {TimeNs{0}, TimeNs{-5}}) {
    CHECK_THROWS_WITH_AS(Watchdog{bad}, doctest::Contains("timeout_ns"), ConfigError);
  }
}
