#include "vla_rt/rt/latency_histogram.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

constexpr double kPercents[] = {0, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100};

// Nearest rank: the smallest value that at least p % of the values do not exceed. Integer arithmetic (p in
// 1/100 %).
TimeNs exact_percentile(const std::vector<TimeNs>& sorted, double percent) {
  const auto hundredths = static_cast<std::size_t>(std::llround(percent * 100));
  const std::size_t rank = (hundredths * sorted.size() + 9'999) / 10'000;
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

// The edge of a bucket lies less than its width above the value, and the width is at most 1/128 of it.
bool tight(TimeNs got, TimeNs exact) { return got == exact || (got > exact && (got - exact) * 128 < exact); }

std::vector<TimeNs> latencies(std::mt19937_64& random, int kind, std::size_t n) {
  std::vector<TimeNs> values(n);
  std::lognormal_distribution<double> lognormal(9.0, 2.0);
  std::uniform_int_distribution<TimeNs> small(0, 600), any(0, LatencyHistogram::kMaxTracked);
  std::uniform_real_distribution<double> exponent(0.0, 37.0);
  for (TimeNs& v : values) {
    switch (kind) {
      case 0:
        v = std::min(static_cast<TimeNs>(lognormal(random)), LatencyHistogram::kMaxTracked);
        break;
      case 1:
        v = small(random);
        break;
      case 2:
        v = any(random);
        break;
      default:
        v = static_cast<TimeNs>(std::exp2(exponent(random))) - 1;
        break;
    }
  }
  return values;
}

}  // namespace

TEST_CASE("percentiles are never below the exact ones and at most 0.79 % above") {
  std::mt19937_64 random(7);
  for (int kind = 0; kind < 4; ++kind) {
    for (const std::size_t n : {1u, 2u, 3u, 17u, 1000u, 20000u}) {
      CAPTURE(kind);
      CAPTURE(n);
      std::vector<TimeNs> values = latencies(random, kind, n);
      const auto histogram = std::make_unique<LatencyHistogram>();
      double sum = 0;
      for (const TimeNs v : values) {
        histogram->record(v);
        sum += static_cast<double>(v);
      }
      std::sort(values.begin(), values.end());
      for (const double p : kPercents) {
        CAPTURE(p);
        const TimeNs exact = exact_percentile(values, p);
        const TimeNs got = histogram->percentile(p);
        CHECK(tight(got, exact));
      }
      CHECK(histogram->count() == n);
      CHECK(histogram->max() == values.back());
      CHECK(histogram->mean() == doctest::Approx(sum / static_cast<double>(n)));
    }
  }
}

TEST_CASE("every power of two and its neighbours stay within the error and in order") {
  TimeNs before = 0;
  for (int bit = 2; bit < 37; ++bit) {
    for (const TimeNs offset : {-1, 0, 1}) {
      const TimeNs value = (TimeNs{1} << bit) + offset;
      LatencyHistogram histogram;
      histogram.record(value);
      histogram.record(LatencyHistogram::kMaxTracked);  // keeps the cap by the maximum out of the way
      const TimeNs got = histogram.percentile(50);
      CHECK(tight(got, value));
      if (value < 256) CHECK(got == value);
      CHECK(got >= before);
      before = got;
    }
  }
}

TEST_CASE("what is out of range is counted and keeps maximum and order") {
  LatencyHistogram histogram;
  histogram.record(-5);
  CHECK(histogram.percentile(50) == 0);
  CHECK(histogram.max() == 0);
  const TimeNs hour = 3600 * kNsPerSecond;
  histogram.record(hour);
  histogram.record(std::numeric_limits<TimeNs>::max() / 4);
  CHECK(histogram.count() == 3);
  CHECK(histogram.max() == std::numeric_limits<TimeNs>::max() / 4);
  CHECK(histogram.percentile(100) == histogram.max());
  CHECK(histogram.percentile(1) == 0);
}

TEST_CASE("merging equals recording everything in one") {
  std::mt19937_64 random(11);
  LatencyHistogram first, second, both;
  for (int i = 0; i < 5000; ++i) {
    const auto value = static_cast<TimeNs>(random() >> (random() % 60));
    (i % 3 == 0 ? first : second).record(value);
    both.record(value);
  }
  first.merge(second);
  for (const double p : kPercents) CHECK(first.percentile(p) == both.percentile(p));
  CHECK(first.count() == both.count());
  CHECK(first.mean() == both.mean());

  LatencyHistogram copy = first;
  CHECK(copy.percentile(99) == first.percentile(99));
  copy.clear();
  CHECK(copy.count() == 0);
  CHECK(copy.max() == 0);
  CHECK(copy.mean() == 0.0);
  CHECK(first.count() == 5000);
  copy = first;
  CHECK(copy.count() == 5000);
}

TEST_CASE("the summary is in microseconds; an empty histogram is all zeros") {
  LatencyHistogram histogram;
  CHECK(histogram.percentile(99) == 0);
  CHECK(histogram.summary().max_us == 0.0);
  for (int i = 1; i <= 1000; ++i) histogram.record(i * 1000);
  const LatencySummary summary = histogram.summary();
  CHECK(summary.p50_us == doctest::Approx(500).epsilon(0.008));
  CHECK(summary.p99_us == doctest::Approx(990).epsilon(0.008));
  CHECK(summary.p999_us == doctest::Approx(999).epsilon(0.008));
  CHECK(summary.max_us == 1000.0);
}

TEST_CASE("a percentile outside [0, 100] is refused") {
  const LatencyHistogram histogram;
  for (const double bad : {-0.1, 100.1, std::nan(""), HUGE_VAL})
    CHECK_THROWS_WITH_AS((void)histogram.percentile(bad), doctest::Contains("percent"), ConfigError);
}

TEST_CASE("a running histogram can be read from another thread") {
  LatencyHistogram histogram;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; i < 200'000; ++i) histogram.record(i & 0xffff);
    done.store(true);
  });
  std::uint64_t last = 0;
  bool grows = true;
  while (!done.load()) {
    const std::uint64_t n = histogram.count();
    grows = grows && n >= last && histogram.percentile(99) <= 0xffff;
    last = n;
  }
  writer.join();
  CHECK(grows);
  CHECK(histogram.count() == 200'000);
}
