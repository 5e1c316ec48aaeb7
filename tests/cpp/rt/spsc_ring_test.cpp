#include "vla_rt/rt/spsc_ring.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <deque>
#include <random>
#include <thread>

#include "rt/stamped.hpp"

using namespace vla_rt;
using vla_rt::test::Stamped;

TEST_CASE("the capacity is rounded up to a power of two") {
  CHECK(SpscRing<int>(1).capacity() == 1);
  CHECK(SpscRing<int>(3).capacity() == 4);
  CHECK(SpscRing<int>(64).capacity() == 64);
  CHECK(SpscRing<int>(65).capacity() == 128);
  for (const std::size_t bad : {std::size_t{0}, SpscRing<int>::kMaxCapacity + 1, ~std::size_t{0}})
    CHECK_THROWS_WITH_AS(SpscRing<int>{bad}, doctest::Contains("capacity"), ConfigError);
}

TEST_CASE("any order of pushes and pops is a bounded queue that refuses the newest") {
  std::mt19937 random(5);
  for (const std::size_t capacity : {1u, 2u, 8u}) {
    SpscRing<int> ring(capacity);
    std::deque<int> model;
    std::uint64_t refused = 0;
    for (int i = 0; i < 20'000; ++i) {
      // Phases that lean to one side, so that full and empty are both met often.
      if (random() % 100 < ((i / 50) % 2 == 0 ? 70u : 30u)) {
        const bool room = model.size() < capacity;
        REQUIRE(ring.push(i) == room);
        if (room) model.push_back(i);
        refused += !room;
      } else {
        int value = -1;
        REQUIRE(ring.pop(value) == !model.empty());
        REQUIRE(value == (model.empty() ? -1 : model.front()));
        if (!model.empty()) model.pop_front();
      }
      REQUIRE(ring.size() == model.size());
      REQUIRE(ring.dropped() == refused);
    }
    CHECK(refused > 0);
  }
}

TEST_CASE("values between two running threads arrive whole, once and in order; the rest is counted") {
  constexpr std::uint64_t kValues = 100'000;
  SpscRing<Stamped> ring(16);
  std::thread producer([&] {
    Stamped value;
    for (std::uint64_t n = 1; n <= kValues; ++n) {
      value.stamp(n);
      ring.push(value);
      if (n % 64 == 0) std::this_thread::yield();
    }
    value.stamp(kValues + 1);
    while (!ring.push(value)) std::this_thread::yield();
  });
  std::uint64_t last = 0, received = 0, torn = 0, disorder = 0;
  Stamped value;
  while (last <= kValues) {
    if (!ring.pop(value)) {
      std::this_thread::yield();
      continue;
    }
    torn += !value.whole();
    disorder += value.number <= last;
    last = value.number;
    received += value.number <= kValues;
  }
  producer.join();
  CHECK(torn == 0);
  CHECK(disorder == 0);
  // The last value's own refusals are counted too.
  CHECK(received + ring.dropped() >= kValues);
  CHECK(ring.size() == 0);
}
