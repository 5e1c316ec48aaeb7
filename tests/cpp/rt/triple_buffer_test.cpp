#include "vla_rt/rt/triple_buffer.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <set>
#include <thread>

#include "rt/stamped.hpp"

using namespace vla_rt;
using vla_rt::test::Stamped;

TEST_CASE("the reader gets the newest value once") {
  TripleBuffer<int> buffer;
  CHECK_FALSE(buffer.update());
  CHECK(buffer.front() == 0);
  buffer.back() = 1;
  CHECK_FALSE(buffer.update());  // not published yet
  buffer.publish();
  buffer.back() = 2;
  buffer.publish();
  CHECK(buffer.front() == 0);  // the reader's value changes only by update
  CHECK(buffer.update());
  CHECK(buffer.front() == 2);
  CHECK_FALSE(buffer.update());
  CHECK(buffer.front() == 2);
}

TEST_CASE("any order of publishes and updates is the newest-value model, and slots are never shared") {
  std::mt19937 random(3);
  TripleBuffer<std::uint64_t> buffer;
  std::uint64_t published = 0, seen = 0, next = 0;
  for (int i = 0; i < 20'000; ++i) {
    CHECK(&buffer.back() != &buffer.front());
    if (random() % 2 == 0) {
      buffer.back() = ++next;
      buffer.publish();
      published = next;
    } else {
      REQUIRE(buffer.update() == (published != seen));
      seen = published;
    }
    REQUIRE(buffer.front() == seen);
  }
}

TEST_CASE("for_each_slot visits three slots on cache lines of their own") {
  TripleBuffer<char> buffer;
  std::set<std::uintptr_t> lines;
  buffer.for_each_slot([&](char& c) { lines.insert(reinterpret_cast<std::uintptr_t>(&c) / 64); });
  CHECK(lines.size() == 3);
}

TEST_CASE("values handed between two running threads are whole, in order, and the last one arrives") {
  constexpr std::uint64_t kValues = 100'000;
  TripleBuffer<Stamped> buffer;
  std::thread writer([&] {
    for (std::uint64_t n = 1; n <= kValues; ++n) {
      buffer.back().stamp(n);
      buffer.publish();
    }
  });
  std::uint64_t last = 0, torn = 0, backwards = 0;
  while (last < kValues) {
    if (!buffer.update()) {
      std::this_thread::yield();
      continue;
    }
    torn += !buffer.front().whole();
    backwards += buffer.front().number <= last;
    last = buffer.front().number;
  }
  writer.join();
  CHECK(torn == 0);
  CHECK(backwards == 0);
}
