#include "vla_rt/constraints/constraint_enforcer.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "constraints/enforcer_adversary.hpp"
#include "constraints/filter_adversary.hpp"
#include "constraints/search_adversary.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

JointLimits limits_of(int n, double range = 2.7, double v = 2.62, double a = 10, double j = 5000) {
  const auto all = [n](double x) { return std::vector<double>(static_cast<std::size_t>(n), x); };
  return JointLimits::make(all(-range), all(range), all(v), all(a), all(j));
}

std::string message_of(const auto& action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("no wild target, feed-forward, stop, reset or change of limits breaks a limit") {
  const adversary::Tally tally = adversary::attack_enforcer(11, 1'500'000);
  CHECK(tally.violations == 0);
  CHECK(tally.worst_position <= 0);
  CHECK(tally.altered > tally.joint_ticks / 2);  // the attack does press on the limits
  CHECK(tally.worst[2] > 0.99);
}

TEST_CASE("no wished jerk breaks a limit, at ticks or between them") {
  const adversary::Tally tally = adversary::attack_filter(12, 1'500'000);
  CHECK(tally.violations == 0);
  CHECK(tally.altered > tally.joint_ticks / 2);
  for (const double worst : tally.worst) CHECK(worst > 0.99);
}

TEST_CASE("a wish that switches its jerk inside the tick is judged by every piece of it") {
  const double h = 0.01;
  const constraints::JointBounds b = constraints::bounds_of(limits_of(1), 0);
  adversary::Rng rng(21);
  for (int trial = 0; trial < 3000; ++trial) {
    constraints::MotionState x{.q = rng.uniform(-1, 1), .v = rng.uniform(-1, 1), .a = rng.uniform(-9, 9)};
    constraints::TickMotion wish, motion;
    const double first = rng.uniform(0, h);  // may end within A and J, and even where it began
    wish.append(rng.uniform(-2, 2) * b.J, first);
    wish.append(-wish.pieces[0].jerk * first / (h - first), h - first);
    const constraints::MotionState before = x;
    constraints::filter_tick(x, wish, b, h, motion);
    constraints::MotionState y = before;
    for (int k = 0; k < motion.count; ++k) {
      const constraints::JerkPiece& piece = motion.pieces[static_cast<std::size_t>(k)];
      REQUIRE(std::fabs(piece.jerk) <= b.J * (1 + 1e-9));
      y = constraints::advanced(y, piece.jerk, piece.duration);
      REQUIRE(std::fabs(y.a) <= b.A * (1 + 1e-9));
    }
    REQUIRE(y.q == doctest::Approx(x.q).epsilon(1e-9));
  }
}

TEST_CASE("rounding over a stop of many thousand ticks that starts on the boundary breaks nothing") {
  adversary::Rng rng(3);
  for (int trial = 0; trial < 60; ++trial) {
    const double sign = rng.below(2) != 0 ? 1 : -1, half = rng.uniform(40, 200), centre = rng.uniform(-3, 3);
    const double lo = centre - half, hi = centre + half, v = 8, a = rng.uniform(0.5, 1), j = 50;
    const JointLimits limits = JointLimits::make({&lo, 1}, {&hi, 1}, {&v, 1}, {&a, 1}, {&j, 1});
    const constraints::JointBounds b = constraints::bounds_of(limits, 0);
    constraints::MotionState x{.q = 0, .v = sign * v, .a = 0};
    const constraints::Extent stop = constraints::stop_extent(x, a, j);
    x.q = sign > 0 ? hi - stop.hi
                   : lo - stop.lo;  // the stop ends on the limit, to a few units in the last place
    ViolationCounter judge(limits, 2.5e-4);
    judge.reset({&x.q, 1});
    int t = 0;
    for (; t < 200'000 && (x.v != 0 || x.a != 0); ++t) {
      constraints::TickMotion motion;
      constraints::follow_stop(x, b, 2.5e-4, motion);
      judge.add({&x.q, 1});
      if (t == 2) judge.forgive();
    }
    REQUIRE(t < 200'000);
    REQUIRE(judge.total() == 0);
  }
}

TEST_CASE("no searched switching pattern breaks a limit") {
  const adversary::Tally tally = adversary::attack_by_search(13, 800'000);
  CHECK(tally.violations == 0);
  CHECK(tally.worst_position <= 0);
}

TEST_CASE("standing on a limit is nothing to report") {
  for (const double start : {-2.7, 2.7}) {
    ConstraintEnforcer enforcer(limits_of(1), 1e-3);
    enforcer.reset({&start, 1});
    EnforcerReport report;
    for (int t = 0; t < 200; ++t) CHECK(enforcer.apply({&start, 1}, {}, report) == Status::Ok);
    CHECK(std::fabs(enforcer.position()[0] - start) < 1e-10);
    CHECK(enforcer.at_rest());
  }
}

TEST_CASE("a NaN target holds that joint's last good one and the others go on") {
  ConstraintEnforcer enforcer(limits_of(2), 1e-3);
  const std::vector<double> start{0, 0}, good{0.5, 0.5}, bad{kNaN, -0.5};
  enforcer.reset(start);
  EnforcerReport report;
  enforcer.apply(good, {}, report);
  CHECK(report.status == Status::Limited);
  for (int t = 0; t < 2000; ++t) {
    CHECK(enforcer.apply(bad, {}, report) == Status::NonFinite);
    CHECK(report.causes[0] >= static_cast<unsigned>(Cause::NonFinite));
    CHECK((report.causes[1] & static_cast<unsigned>(Cause::NonFinite)) == 0);
  }
  CHECK(enforcer.position()[0] == 0.5);
  CHECK(enforcer.position()[1] == -0.5);
  CHECK(enforcer.apply(good, {}, report) == Status::Limited);
  for (int t = 0; t < 2000; ++t) enforcer.apply(good, {}, report);
  CHECK(report.status == Status::Ok);
  CHECK(report.deviation[0] == 0);
  CHECK(report.position_distance[0] == doctest::Approx(2.2));
  const std::vector<double> short_target{0.1};
  CHECK(enforcer.apply(short_target, {}, report) == Status::NonFinite);
}

TEST_CASE("a bad start is refused by name and changes nothing") {
  ConstraintEnforcer enforcer(limits_of(2), 1e-3);
  const std::vector<double> good{0.5, 0.5};
  enforcer.reset(good);
  CHECK(message_of([&] { enforcer.reset(std::vector<double>{0, 3}); }) ==
        "position[1] = 3: must be in [-2.7, 2.7]");
  CHECK(message_of([&] { enforcer.reset(std::vector<double>{0, kNaN}); }) ==
        "position[1] = nan: must be finite");
  CHECK(message_of([&] { enforcer.reset(std::vector<double>{0}); }) == "position = 1 values: must have 2");
  CHECK(message_of([&] {
          enforcer.reset(good, std::vector<double>{0, 2.7});
        }).starts_with("velocity[1] = 2.7"));
  CHECK(message_of([&] {
          enforcer.reset(good, {}, std::vector<double>{11, 0});
        }).starts_with("acceleration[0] = 11"));
  CHECK(message_of([&] {
          enforcer.reset(std::vector<double>{2.69, 0}, std::vector<double>{2, 0});
        }).starts_with("position[0] = 2.69: the shortest stop runs over"));
  CHECK(enforcer.position()[0] == 0.5);
  CHECK_THROWS_AS(ConstraintEnforcer(limits_of(1), 0.0), ConfigError);
  CHECK_THROWS_AS(ConstraintEnforcer(limits_of(1), kNaN), ConfigError);
  CHECK_THROWS_AS(
      ConstraintEnforcer(limits_of(1), 1e-3, EnforcerOptions{.path_preserving = false, .smoothing_s = -1}),
      ConfigError);
}

TEST_CASE("without a start there is no command") {
  ConstraintEnforcer enforcer(limits_of(1), 1e-3);
  EnforcerReport report;
  const double goal = 1;
  CHECK(enforcer.apply({&goal, 1}, {}, report) == Status::Fault);
  CHECK(enforcer.position()[0] == 0);
  CHECK(enforcer.at_rest());
}

TEST_CASE("stop comes to rest on its certified path and apply resumes from there") {
  ConstraintEnforcer enforcer(limits_of(1), 1e-3);
  ViolationCounter judge(limits_of(1), 1e-3);
  const double start = -2, goal = 2;
  enforcer.reset({&start, 1});
  judge.reset({&start, 1});
  EnforcerReport report;
  for (int t = 0; t < 400; ++t) enforcer.apply({&goal, 1}, {}, report), judge.add(enforcer.position());
  CHECK(!enforcer.at_rest());
  const constraints::MotionState x{
      .q = enforcer.position()[0], .v = enforcer.velocity()[0], .a = enforcer.acceleration()[0]};
  const double expected = x.q + constraints::stop_displacement(x.v, x.a, 10, 5000);
  int ticks = 0;
  for (; !enforcer.at_rest(); ++ticks) enforcer.stop(), judge.add(enforcer.position());
  CHECK(std::fabs(ticks - constraints::stop_profile(x.v, x.a, 10, 5000).duration() / 1e-3) < 1.01);
  CHECK(enforcer.position()[0] == doctest::Approx(expected).epsilon(1e-12));
  for (int t = 0; t < 2000; ++t) enforcer.apply({&goal, 1}, {}, report), judge.add(enforcer.position());
  CHECK(enforcer.position()[0] == goal);
  CHECK(judge.total() == 0);
}

TEST_CASE("tightened limits are reached by a certified path and then hold") {
  adversary::Rng rng(5);
  for (int trial = 0; trial < 200; ++trial) {
    const JointLimits wide = limits_of(1);
    JointLimits tight =
        limits_of(1, 2.7, 2.62 * rng.uniform(0.1, 1), 10 * rng.uniform(0.1, 1), 5000 * rng.uniform(0.1, 1));
    ConstraintEnforcer enforcer(wide, 1e-3);
    ViolationCounter outer(wide, 1e-3), inner(tight, 1e-3);
    const double start = rng.uniform(-2, 2);
    enforcer.reset({&start, 1});
    outer.reset({&start, 1});
    inner.reset({&start, 1});
    EnforcerReport report;
    const int change = 50 + rng.below(600);
    for (int t = 0; t < 3000; ++t) {
      const double goal = 2.5 * std::sin(0.004 * t * (1 + trial % 7));
      if (t == change) enforcer.set_limits(tight);
      enforcer.apply({&goal, 1}, {}, report);
      outer.add(enforcer.position());
      inner.add(enforcer.position());
      if (t == change + 1200) inner.forgive();  // a stop takes less than 0.6 s here
    }
    REQUIRE(outer.total() == 0);
    REQUIRE(inner.total() == 0);
    REQUIRE(enforcer.limits().max_velocity[0] == tight.max_velocity[0]);
  }
}

TEST_CASE("a range that the stop would leave is a fault: stop, stay, until reset") {
  ConstraintEnforcer enforcer(limits_of(2), 1e-3);
  ViolationCounter judge(limits_of(2), 1e-3);
  const std::vector<double> start{0, 0}, goal{2, 1};
  enforcer.reset(start);
  judge.reset(start);
  EnforcerReport report;
  for (int t = 0; t < 400; ++t) enforcer.apply(goal, {}, report), judge.add(enforcer.position());
  enforcer.set_limits(limits_of(2, enforcer.position()[0] + 0.01));
  for (int t = 0; t < 1000; ++t) {
    CHECK(enforcer.apply(goal, {}, report) == Status::Fault);
    judge.add(enforcer.position());
  }
  CHECK((report.causes[0] & static_cast<unsigned>(Cause::Position)) != 0);
  CHECK(enforcer.at_rest());
  CHECK(judge.total() == 0);
  enforcer.set_limits(limits_of(2));
  CHECK(enforcer.apply(goal, {}, report) == Status::Fault);  // latched
  enforcer.reset(enforcer.position());
  CHECK(enforcer.apply(goal, {}, report) == Status::Limited);
  CHECK_THROWS_AS(enforcer.set_limits(limits_of(1)), ConfigError);
}

TEST_CASE("the log tells what was wanted and given, once per cause, without end") {
  ConstraintEnforcer enforcer(limits_of(1), 1e-3);
  const double start = 0, outside = 5;
  enforcer.reset({&start, 1});
  EnforcerReport report;
  for (int t = 0; t < 3000; ++t) enforcer.apply({&outside, 1}, {}, report);
  std::vector<WishLogEntry> log(ConstraintEnforcer::kLogCapacity);
  CHECK(enforcer.log_count() < 10);
  const int n = enforcer.copy_log(log);
  REQUIRE(n == enforcer.log_count());
  CHECK(log[0].cause == Cause::Position);
  CHECK(log[0].wanted == 5);
  CHECK(log[0].given == doctest::Approx(0).scale(1));
  CHECK(log[0].time_s == 1e-3);
  CHECK(log[1].cause == Cause::Velocity);
  CHECK(log[1].wanted == doctest::Approx(2700));
  for (int t = 0; t < 3000; ++t) {
    const double wild = t % 2 == 0 ? kNaN : outside;
    enforcer.apply({&wild, 1}, {}, report);
  }
  CHECK(enforcer.log_count() > ConstraintEnforcer::kLogCapacity);
  CHECK(enforcer.copy_log(log) == ConstraintEnforcer::kLogCapacity);
  CHECK(log.back().time_s > log.front().time_s);
}
