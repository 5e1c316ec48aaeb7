#include "constraints/swept_check.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

#include "constraints/joint_filter.hpp"
#include "constraints/random_arm.hpp"

using namespace vla_rt;
using namespace vla_rt::constraints;
using namespace vla_rt::adversary;

namespace {

// One arm of length 1 in the plane, turning about z, with a point (or a capsule across) at its end.
const char* kTurntable =
    "<robot name='r'><link name='base'/><link name='arm'/><joint name='j' type='revolute'>"
    "<parent link='base'/><child link='arm'/><axis xyz='0 0 1'/>"
    "<limit lower='-3' upper='3' velocity='2'/></joint></robot>";

// The least distance of everything at q, without the sweep's own reasoning.
double least_distance(const GapModel& model, std::span<const double> q) {
  static thread_local JointFrames frames;
  model.place(q, frames);
  double least = 1e300;
  for (const Gap& gap : model.gaps()) least = std::min(least, model.sample(gap, frames).distance);
  return least;
}

GapModel turntable_in(CollisionShapes world) {
  world.capsules.push_back({.start = {1, 0, 0}, .end = {1, 0, 0}, .radius = 0, .link = "arm"});
  return GapModel(Kinematics::from_urdf_text(kTurntable, "arm"), {}, &world);
}

struct Turntable {
  JointBounds bounds = JointBounds::make(-3, 3, 2, 10, 5000);
  SweptCheck check;

  explicit Turntable(const CollisionShapes& world) : check(turntable_in(world), nullptr) {
    check.widen_range({&bounds, 1});
  }
  // The stop from q at v: 0.05 v^2 rad and a little.
  bool admits_stop(double q, double v) {
    JointSweep sweep;
    const MotionState x{.q = q, .v = v, .a = 0};
    sweep.build(x, {}, x, bounds, 0);
    check.begin_tick();
    check.stand_at({&q, 1});
    return check.admits({&sweep, 1});
  }
};

}  // namespace

TEST_CASE("what the check admits is clear at every instant, whatever the arm, its motion and its world") {
  Rng rng(21);
  int admitted = 0, refused = 0, needlessly = 0;
  std::array<JointSweep, 6> sweeps;
  std::array<JointBounds, 6> bounds;
  JointArray q{};
  for (int arm = 0; arm < 150; ++arm) {
    const Kinematics chain = random_chain(rng, 2 + rng.below(5));
    const std::size_t n = static_cast<std::size_t>(chain.num_joints());
    const JointLimits limits = chain_limits(rng, chain);
    const RandomWorld world = random_world(rng, chain);
    const GapModel model(chain, world.workspaces, &world.shapes);
    SweptCheck check(model, nullptr);
    for (std::size_t j = 0; j < n; ++j) bounds[j] = bounds_of(limits, j);
    check.widen_range({bounds.data(), n});
    for (int trial = 0; trial < 60; ++trial) {
      const double h = rng.log_uniform(2.5e-4, 2e-2);
      for (std::size_t j = 0; j < n; ++j) {
        const MotionState x = random_start(rng, bounds[j]);
        MotionState y = x;
        TickMotion motion;
        filter_tick(y, rng.uniform(-1, 1) * bounds[j].J, bounds[j], h, motion);
        sweeps[j].build(x, motion, y, bounds[j], h);
        q[j] = x.q;
      }
      if (least_distance(model, {q.data(), n}) < 1e-3) continue;
      check.begin_tick();
      check.stand_at({q.data(), n});
      const bool good = check.admits({sweeps.data(), n});
      double last = 0, least = 1e300;
      for (std::size_t j = 0; j < n; ++j) last = std::max(last, sweeps[j].duration);
      constexpr int kInstants = 300;
      for (int k = 1; k <= kInstants; ++k) {
        for (std::size_t j = 0; j < n; ++j) q[j] = sweeps[j].at(last * k / kInstants).q;
        least = std::min(least, least_distance(model, {q.data(), n}));
      }
      ++(good ? admitted : refused);
      if (good) REQUIRE(least >= SweptCheck::kPathGap - 1e-9);
      if (good) REQUIRE(least_distance(model, {q.data(), n}) >= SweptCheck::kEndGap - 1e-9);
      if (!good && least > 2e-3) ++needlessly;
    }
  }
  CHECK(admitted > 500);
  CHECK(refused > 400);
  CHECK(needlessly < refused / 50);  // conservative, but not by much
}

TEST_CASE("an arc that bulges over a wall between two clear ends is refused") {
  CollisionShapes world;
  world.world_half_spaces.push_back({.normal = {-1, 0, 0}, .offset = -0.997});  // solid from x = 0.997 on
  Turntable wall(world);
  // From -0.1 to 0.1 rad the arm's end goes from x = 0.995 over 1 to 0.995.
  CHECK(!wall.admits_stop(-0.1, 2));
  CHECK(wall.check.blocker() == kCollision);
  CHECK(wall.admits_stop(-0.31, 2));
  CHECK(wall.admits_stop(0.1, 2));
}

TEST_CASE("a sheet thinner than the motion of many ticks is not passed") {
  for (const double thickness : {1e-2, 1e-4, 1e-6}) {
    CollisionShapes world;
    WorldBox sheet{.pose = {}, .half_size = {0.2, 0.5 * thickness, 0.2}};
    sheet.pose.translation = {1, 0, 0};
    world.world_boxes.push_back(sheet);
    Turntable table(world);
    CHECK(!table.admits_stop(-0.1, 2));
    CHECK(!table.admits_stop(0.1, -2));
    CHECK(table.admits_stop(0.1, 2));
    CHECK(table.admits_stop(-0.4, 2));
  }
}

TEST_CASE("a wall that the tip grazes anywhere on its way is never passed") {
  // Fast and hardly braking: what bends the way are the turns themselves.
  Rng rng(23);
  int grazed = 0, tilted = 0;
  std::array<JointSweep, 5> sweeps;
  std::array<JointBounds, 5> bounds;
  JointArray q{};
  for (int trial = 0; trial < 1500; ++trial) {
    const bool straight = rng.one_in(2);  // nothing to spare in the bound
    const Kinematics chain =
        straight ? straight_chain(1 + rng.below(5)) : random_chain(rng, 1 + rng.below(5));
    const std::size_t n = static_cast<std::size_t>(chain.num_joints());
    double last = 0;
    for (std::size_t j = 0; j < n; ++j) {
      bounds[j] = JointBounds::make(-100, 100, 8, rng.log_uniform(0.5, 10), rng.log_uniform(20, 20'000));
      const double most = straight ? 0.3 : 3;
      const MotionState x{.q = rng.uniform(-most, most),
                          .v = straight ? rng.uniform(1, 2) : rng.uniform(-3, 3),
                          .a = rng.uniform(-1, 1) * bounds[j].A};
      sweeps[j].build(x, {}, x, bounds[j], 0);
      bounds[j].min_q = sweeps[j].lo;
      bounds[j].max_q = sweeps[j].hi;
      last = std::max(last, sweeps[j].duration);
      q[j] = x.q;
    }
    // The plane whose solid side the tip enters by `depth`, at one moment between start and end.
    const Vector3 point = straight ? Vector3{0.3, 0, 0} : random_point(rng, 0.3);
    const Vector3 normal = straight ? Vector3{-1, rng.uniform(-1, 1), 0} : random_point(rng, 1);
    double least = 1e300;
    JointArray there{};
    const bool cone = rng.one_in(3);  // of the axis that goes through the point
    const auto height = [&](double t) {
      for (std::size_t j = 0; j < n; ++j) there[j] = sweeps[j].at(t).q;
      const Transform tip = chain.forward({there.data(), n});
      if (cone) return dot(normal, rotate(tip.rotation, point)) / norm(point);
      return dot(normal, vla_rt::apply(tip, point));
    };
    constexpr int kInstants = 400;
    for (int k = 0; k <= kInstants; ++k) least = std::min(least, height(last * k / kInstants));
    const double offset = least + norm(normal) * rng.log_uniform(1e-5, 1e-2);
    if (std::min(height(0), height(last)) < offset + 2e-4 * norm(normal)) continue;
    Workspace wall;
    if (cone) {
      const double cosine = offset / norm(normal);
      if (std::fabs(cosine) > 0.99) continue;
      wall.cone = OrientationCone{.max_angle = std::acos(cosine), .axis = point, .direction = normal};
    } else {
      wall.offset = point;
      wall.half_spaces.push_back({.normal = {-normal[0], -normal[1], -normal[2]}, .offset = -offset});
    }
    SweptCheck check(GapModel(chain, {&wall, 1}, nullptr), nullptr);
    check.widen_range({bounds.data(), n});
    check.begin_tick();
    check.stand_at({q.data(), n});
    REQUIRE(!check.admits({sweeps.data(), n}));
    ++(cone ? tilted : grazed);
  }
  CHECK(grazed > 200);
  CHECK(tilted > 40);
}

TEST_CASE("samples that run out mean refused") {
  CollisionShapes world;  // a slit 0.011 mm wider than the arm's end on either side: nothing is shown cheaply
  for (int k = 0; k < 50; ++k)
    for (const double side : {-1e-3, 1e-3}) {
      const auto on_arc = [&](int i) {
        const double angle = -0.4 + 0.002 * i;
        return Vector3{(1 + side) * std::cos(angle), (1 + side) * std::sin(angle), 0};
      };
      world.world_capsules.push_back(
          {.start = on_arc(k), .end = on_arc(k + 1), .radius = 1e-3 - 1.1e-5, .link = {}});
    }
  Turntable slit(world);
  CHECK(!slit.admits_stop(-0.4, 2));
  CHECK(slit.check.blocker() == kCollision);
  for (Capsule& c : world.world_capsules) c.radius -= 1e-3 - 1e-4;  // wide enough
  CHECK(Turntable(world).admits_stop(-0.4, 2));
}

TEST_CASE("gradients are those of the distances") {
  Rng rng(22);
  int compared = 0;
  JointFrames frames;
  JointArray q{}, gradient{};
  for (int arm = 0; arm < 60; ++arm) {
    const Kinematics chain = random_chain(rng, 4);
    const RandomWorld world = random_world(rng, chain);
    const GapModel model(chain, world.workspaces, &world.shapes);
    for (std::size_t j = 0; j < 4; ++j) q[j] = rng.uniform(-1, 1);
    for (const Gap& gap : model.gaps()) {
      model.place({q.data(), 4}, frames);
      const GapSample here = model.sample(gap, frames);
      if (here.distance < 1e-2) continue;
      model.gradient(gap, here, frames, {gradient.data(), 4});
      for (std::size_t j = 0; j < 4; ++j) {
        constexpr double kStep = 1e-6;
        const auto moved = [&](double by) {
          JointArray there = q;
          there[j] += by;
          model.place({there.data(), 4}, frames);
          return model.sample(gap, frames).distance;
        };
        // One-sided slopes differ where the nearest point jumps; there the gradient is one of them.
        const double up = (moved(kStep) - here.distance) / kStep,
                     down = (here.distance - moved(-kStep)) / kStep;
        if (std::fabs(up - down) > 1e-3) continue;
        REQUIRE(gradient[j] == doctest::Approx(0.5 * (up + down)).epsilon(1e-3).scale(1));
        ++compared;
      }
    }
  }
  CHECK(compared > 1000);
}
