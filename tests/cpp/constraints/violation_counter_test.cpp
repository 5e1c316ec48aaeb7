#include "vla_rt/constraints/violation_counter.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

JointLimits one_joint() {
  const double lo = -1, hi = 1, v = 2, a = 100, j = 1e5;
  return JointLimits::make({&lo, 1}, {&hi, 1}, {&v, 1}, {&a, 1}, {&j, 1});
}

std::int64_t judged(const std::vector<double>& positions) {
  ViolationCounter judge(one_joint(), 1e-3);
  const double start = 0;
  judge.reset({&start, 1});
  for (const double q : positions) judge.add({&q, 1});
  return judge.total();
}

}  // namespace

TEST_CASE("motion on its limits is no violation") {
  // dt = 1 ms: one tick at jerk 1e5 gives a = 100 in the mean, dq = 1e-4 per tick of jerk.
  CHECK(judged({0, 0, 0}) == 0);
  CHECK(judged({1e-4, 3e-4, 6e-4, 1e-3, 1.4e-3, 1.7e-3, 1.9e-3, 2e-3, 2e-3}) == 0);
}

TEST_CASE("each order is caught by itself") {
  CHECK(judged({1.0000001e-4 * 1.00001}) == 2);  // acceleration and jerk, together
  std::vector<double> ramp;
  for (double q = 0, v = 0; v < 2.5e-3; v += 2e-5) ramp.push_back(q += v);  // ends faster than 2 rad/s
  CHECK(judged(ramp) > 0);
  CHECK(judged(ramp) == doctest::Approx(25).epsilon(0.1));  // the ticks above the limit, velocity only
  std::vector<double> out;
  for (double q = 0, v = 0; q < 1.005; v = v < 1.5e-3 ? v + 2e-5 : v) out.push_back(q += v);
  CHECK(judged(out) >= 3);
  CHECK(judged(out) <= 6);  // only the ticks outside the range
}

TEST_CASE("NaN and a wrong size are violations") {
  CHECK(judged({std::numeric_limits<double>::quiet_NaN()}) == 4);
  ViolationCounter judge(one_joint(), 1e-3);
  const std::vector<double> two{0, 0};
  CHECK(judge.add(two) == 1);
  CHECK_THROWS_AS(ViolationCounter(one_joint(), 0), ConfigError);
}
