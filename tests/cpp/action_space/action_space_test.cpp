#include "vla_rt/action_space/action_space.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <vector>

#include "vla_rt/action_space/end_effector_space.hpp"
#include "vla_rt/action_space/hybrid_action_space.hpp"
#include "vla_rt/action_space/joint_space.hpp"
#include "vla_rt/action_space/rotation.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

TEST_CASE("make builds what a spec describes, and nothing else") {
  const EndEffectorDeltaSpace delta(0.1, 0.2);
  const auto made = ActionSpace::make(delta.spec());
  CHECK(made->kind() == ActionSpaceKind::EndEffectorDelta);
  CHECK(made->spec() == delta.spec());
  CHECK(made->dimension() == 7);

  ActionSpaceSpec spec = delta.spec();
  spec.upper[1] = 0.3;
  CHECK_THROWS_AS((void)ActionSpace::make(spec), ConfigError);
  spec = delta.spec();
  spec.num_actions = 3;
  CHECK_THROWS_AS((void)ActionSpace::make(spec), ConfigError);
  spec = {};
  CHECK_THROWS_WITH_AS((void)ActionSpace::make(spec), "high = 0 values: must have 1..64", ConfigError);
}

TEST_CASE("the maps work in place and leave the output alone when they refuse") {
  const JointPositionSpace space(std::array{-1.0, 0.0}, std::array{1.0, 4.0});
  std::array<double, 4> a = {0.5, 1.0, -1.0, 4.0};
  space.normalize(a, a);
  CHECK(a == std::array{0.5, -0.5, -1.0, 1.0});
  space.denormalize(a, a);
  CHECK(a == std::array{0.5, 1.0, -1.0, 4.0});

  std::array<double, 4> out = {7, 7, 7, 7};
  a[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(space.normalize(a, out), "actions[3] = nan: must be finite", ConfigError);
  CHECK_THROWS_AS(space.normalize(std::span(a).first(3), std::span(out).first(3)), ConfigError);
  CHECK_THROWS_AS(space.normalize(std::span(a).first(2), out), ConfigError);
  CHECK(out == std::array{7.0, 7.0, 7.0, 7.0});

  const HybridActionSpace hybrid({{"stop", {}}, {"move", {space.spec()}}});
  const std::array<double, 6> bad = {1, 0, 0, 2, 0, 0};
  std::array<double, 6> unchanged = {7, 7, 7, 7, 7, 7};
  CHECK_THROWS_WITH_AS(hybrid.normalize(bad, unchanged), "actions[3] = 2: must be a skill index 0..1",
                       ConfigError);
  CHECK(unchanged[0] == 7);
}

TEST_CASE("one quaternion per rotation") {
  const std::array<double, 4> q = {0, 0, 0, -2};
  CHECK(to_quaternion(RotationFormat::Quaternion, q, "q") == Quaternion{-0.0, -0.0, -0.0, 1});
  std::array<double, 3> vector{};
  from_quaternion({0, 0, 0, 1}, RotationFormat::RotationVector, vector);
  CHECK(vector == std::array{0.0, 0.0, 0.0});
  CHECK_THROWS_WITH_AS((void)to_quaternion(RotationFormat::EulerXyz, q, "q"),
                       "q = 4 values: must have 3 for euler", ConfigError);
}
