// Capsules on links behind joints that are not on the chain: held wherever those joints are.
#include "constraints/loose_sweep.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <sstream>
#include <string>

#include "constraints/random_arm.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;
using namespace vla_rt::constraints;
using namespace vla_rt::adversary;

namespace {

struct Finger {
  std::string type;
  double lower = 0, upper = 0;
  Vector3 xyz{}, rpy{}, axis{};
};

std::string finger_name(std::size_t k) {
  std::ostringstream name;
  name << 'f' << k;
  return name.str();
}

// An arm of one joint, "hand" at its tip, and the fingers in a row on it: links f0, f1, ...
std::string hand_with(const std::vector<Finger>& fingers) {
  std::ostringstream urdf;
  urdf.precision(17);
  urdf << "<robot name='r'><link name='base'/><link name='hand'/><joint name='arm' type='revolute'>"
          "<parent link='base'/><child link='hand'/><axis xyz='0 0 1'/>"
          "<limit lower='-3' upper='3' velocity='2'/></joint>";
  std::string parent = "hand";
  for (std::size_t k = 0; k < fingers.size(); ++k) {
    const Finger& f = fingers[k];
    const std::string link = finger_name(k);
    urdf << "<link name='" << link << "'/><joint name='j" << k << "' type='" << f.type << "'><origin xyz='"
         << f.xyz[0] << ' ' << f.xyz[1] << ' ' << f.xyz[2] << "' rpy='" << f.rpy[0] << ' ' << f.rpy[1] << ' '
         << f.rpy[2] << "'/><axis xyz='" << f.axis[0] << ' ' << f.axis[1] << ' ' << f.axis[2]
         << "'/><parent link='" << parent << "'/><child link='" << link << "'/>";
    if (f.type != "continuous")
      urdf << "<limit lower='" << f.lower << "' upper='" << f.upper << "' velocity='1' effort='1'/>";
    urdf << "</joint>";
    parent = link;
  }
  urdf << "</robot>";
  return urdf.str();
}

Finger random_finger(Rng& rng) {
  const int kind = rng.below(4);
  Finger f;
  f.type = kind == 0 ? "prismatic" : kind == 1 ? "continuous" : "revolute";
  f.lower = rng.uniform(-3, 1);
  f.upper = f.lower + rng.uniform(0, kind == 0 ? 0.1 : 4);
  f.xyz = random_point(rng, 0.1);
  f.rpy = random_point(rng, 3);
  f.axis = random_point(rng, 1);
  return f;
}

double outside(const HeldCapsule& held, const Vector3& p) {
  const double at = nearest_on(held.axis, p);
  return norm(minus(p, along(held.axis.start, at, minus(held.axis.end, held.axis.start)))) - held.radius;
}

}  // namespace

TEST_CASE("a held capsule holds the link's capsule wherever the joints off the chain are") {
  Rng rng(61);
  double tightest = 0;
  for (int trial = 0; trial < 400; ++trial) {
    std::vector<Finger> fingers;
    for (int k = rng.below(3); k >= 0; --k) fingers.push_back(random_finger(rng));
    const std::string urdf = hand_with(fingers), last = finger_name(fingers.size() - 1);
    const Kinematics chain = Kinematics::from_urdf_text(urdf, "hand");
    const Capsule capsule{
        .start = random_point(rng, 0.1), .end = random_point(rng, 0.1), .radius = 0.01, .link = last};
    const HeldCapsule held = hold_loose(chain, chain.link(chain.link_index(last)), capsule, "capsules[0]");
    // The same fingers as a chain of their own; the arm's joint stays at zero.
    const Kinematics moving = Kinematics::from_urdf_text(urdf, last);
    JointArray q{};
    double farthest = -1;
    for (int sample = 0; sample < 200; ++sample) {
      for (std::size_t k = 0; k < fingers.size(); ++k) {
        const Finger& f = fingers[k];
        const double pick = rng.one_in(2) ? rng.unit() : rng.below(2);
        q[k + 1] = f.type == "continuous" ? rng.uniform(-4, 4) : f.lower + pick * (f.upper - f.lower);
      }
      const Transform there = moving.forward({q.data(), fingers.size() + 1});
      for (const Vector3& end : {capsule.start, capsule.end})
        farthest = std::max(farthest, outside(held, vla_rt::apply(there, end)) + capsule.radius);
    }
    REQUIRE(farthest <= 1e-12);
    tightest = std::max(
        tightest, farthest + held.radius - capsule.radius > 0 ? held.radius / (farthest + held.radius) : 0);
  }
  CHECK(tightest > 0);
}

TEST_CASE("a finger is held closely: its capsule at the middle, half the stroke wider") {
  const std::string urdf = hand_with(
      {{.type = "prismatic", .lower = 0, .upper = 0.04, .xyz = {0, 0, 0.1}, .rpy = {}, .axis = {0, 1, 0}}});
  const Kinematics chain = Kinematics::from_urdf_text(urdf, "hand");
  const HeldCapsule held =
      hold_loose(chain, chain.link(chain.link_index("f0")),
                 {.start = {}, .end = {0, 0, 0.05}, .radius = 0.01, .link = "f0"}, "capsules[0]");
  CHECK(held.radius == doctest::Approx(0.03));
  CHECK(held.axis.start[1] == doctest::Approx(0.02));
  CHECK(held.axis.end[2] == doctest::Approx(0.15));
}

TEST_CASE("a joint off the chain that cannot be held is refused by name") {
  const auto message = [](const Finger& finger) -> std::string {
    const Kinematics chain = Kinematics::from_urdf_text(hand_with({finger}), "hand");
    try {
      CollisionShapes shapes;
      shapes.capsules.push_back({.start = {}, .end = {}, .radius = 0.1, .link = "f0"});
      static_cast<void>(CollisionModel(chain, shapes));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "accepted";
  };
  Finger finger{.type = "floating", .lower = 0, .upper = 1, .xyz = {}, .rpy = {}, .axis = {1, 0, 0}};
  CHECK(message(finger).starts_with(
      "capsules[0] = f0: moves by joint j0, which is not on the chain and is floating"));
  finger.type = "revolute";
  CHECK(message(finger) == "accepted");
  const Kinematics chain = Kinematics::from_urdf_text(hand_with({finger}), "hand");
  Workspace on_finger;
  on_finger.link = "f0";
  on_finger.lower = {-1, -1, -1};
  const double lo = -3, hi = 3, v = 2, a = 10, j = 1000;
  const JointLimits limits = JointLimits::make({&lo, 1}, {&hi, 1}, {&v, 1}, {&a, 1}, {&j, 1});
  CHECK_THROWS_WITH_AS(ConstraintEnforcer(limits, 1e-3, EnforcerOptions{}, chain,
                                          {.workspaces = {on_finger}, .collision = {}, .check = {}}),
                       "workspace link = f0: moves by joint j0, which is not on the chain", ConfigError);
}
