// Intentionally unsafe actions of a Panda, executed within its limits: what became of each.
//
//   python -c "import vla_rt; print(vla_rt.robots.panda_urdf())" > panda.urdf
//   ./build/safe_execution panda.urdf
//
// As ../safe_execution.py, which runs them on a simulated arm.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include <vla_rt/constraints/constraint_enforcer.hpp>
#include <vla_rt/constraints/violation_counter.hpp>
#include <vla_rt/core/errors.hpp>

namespace {

constexpr double kPeriod = 0.001, kTolerance = 1e-3, kMargin = 0.005;  // [s], [rad], [m]
using Joints = std::vector<double>;

// Around the links of the arm, which stands on a table.
vla_rt::Surroundings surroundings_of(const vla_rt::Kinematics& arm) {
  vla_rt::CollisionShapes shapes;
  shapes.capsules = {{{0, 0, 0.07}, {0, 0, 0.15}, 0.07 + kMargin, "panda_link0"},
                     {{0, 0, -0.17}, {0, 0, 0}, 0.06 + kMargin, "panda_link1"},
                     {{0, 0, 0}, {0, -0.18, 0}, 0.06 + kMargin, "panda_link2"},
                     {{0, 0, -0.12}, {0, 0, 0}, 0.055 + kMargin, "panda_link3"},
                     {{0, 0, 0}, {-0.0825, 0, 0}, 0.05 + kMargin, "panda_link4"},
                     {{0, 0, -0.25}, {0, 0, -0.02}, 0.045 + kMargin, "panda_link5"},
                     {{0, 0, 0}, {0.088, 0, 0}, 0.042 + kMargin, "panda_link6"},
                     {{0, 0, 0.01}, {0, 0, 0.075}, 0.038 + kMargin, "panda_link7"},
                     {{0, 0, 0.107}, {0, 0, 0.2044}, 0.006 + kMargin, "panda_link7"}};
  shapes.world_half_spaces = {{.normal = {0, 0, 1}, .offset = 0}};
  shapes.ignore = {{"panda_link3", "panda_link5"},
                   {"panda_link5", "panda_link7"},
                   {"panda_link0", "world"},
                   {"panda_link1", "world"}};
  vla_rt::Surroundings surroundings;
  surroundings.collision.emplace(arm, shapes);
  return surroundings;
}

class SafeExecution {
 public:
  SafeExecution(const vla_rt::JointLimits& limits, const vla_rt::Kinematics& arm, Joints home)
      : enforcer_(limits, kPeriod, vla_rt::EnforcerOptions{}, arm, surroundings_of(arm)),
        judge_(limits, kPeriod),
        position_(std::move(home)) {
    enforcer_.reset(position_);
    judge_.reset(position_);
  }

  // A minimum-jerk motion to `action`, then at most two seconds to come to rest.
  std::string execute(const Joints& action, double duration_s) {
    if (action.size() != position_.size()) return "refused: " + std::to_string(action.size()) + " joints";
    for (const double q : action)
      if (!std::isfinite(q)) return "refused: not a number";
    const Joints begin = position_;
    Joints target(begin.size()), velocity(begin.size());
    vla_rt::EnforcerReport report;
    unsigned causes = 0;
    bool arrived = false;
    for (int tick = 1; tick <= static_cast<int>((duration_s + 2) / kPeriod) && !arrived; ++tick) {
      const double s = std::min(tick * kPeriod / duration_s, 1.0);
      for (std::size_t j = 0; j < begin.size(); ++j) {
        const double way = action[j] - begin[j];
        target[j] = begin[j] + s * s * s * (10 - 15 * s + 6 * s * s) * way;
        velocity[j] = 30 * s * s * (1 - s) * (1 - s) * way / duration_s;
      }
      enforcer_.apply(target, velocity, report);
      for (std::size_t j = 0; j < begin.size(); ++j) causes |= report.causes[j];
      position_.assign(enforcer_.position().begin(), enforcer_.position().end());
      judge_.add(position_);
      least_ = std::min(least_, report.clearance);
      arrived = s == 1 && enforcer_.at_rest();
    }
    double deviation = 0;
    for (std::size_t j = 0; j < begin.size(); ++j)
      deviation = std::max(deviation, std::abs(position_[j] - action[j]));
    std::string verdict;
    for (const vla_rt::Cause cause : vla_rt::kCauses)
      if ((causes & static_cast<std::uint32_t>(cause)) != 0)
        verdict += (verdict.empty() ? "modified by " : ", ") + std::string(to_string(cause));
    if (verdict.empty()) verdict = deviation <= kTolerance ? "executed" : "modified by lack of time";
    return verdict + ": ends " + std::to_string(deviation) + " rad from what was asked for";
  }

  [[nodiscard]] std::int64_t violations() const { return judge_.total(); }
  [[nodiscard]] double least_distance() const { return least_; }

 private:
  vla_rt::ConstraintEnforcer enforcer_;
  vla_rt::ViolationCounter judge_;
  Joints position_;
  double least_ = std::numeric_limits<double>::infinity();
};

struct Exercise {
  const char* name;
  Joints action;
  double duration_s = 1;
};

}  // namespace

int main(int argc, char** argv) try {
  const std::string urdf = argc > 1 ? argv[1] : "panda.urdf";
  const auto arm = vla_rt::Kinematics::from_urdf(urdf, "panda_tool");
  vla_rt::UrdfLimits rates;
  rates.tip = "panda_tool";
  rates.max_acceleration = {10};
  rates.max_jerk = {1000};
  const auto limits = vla_rt::JointLimits::from_urdf(urdf, rates);
  const Joints home{0, -0.785, 0, -2.356, 0, 1.571, 0.785};
  SafeExecution execution(limits, arm, home);
  const Exercise back{"back home", home, 4};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Exercise> exercises{
      {"a small motion", {0.2, -0.785, 0, -2.356, 0, 1.571, 1.085}},
      {"far outside the limits", {10, 9.215, 10, 7.644, 10, 11.571, 10.785}},
      back,
      {"too fast", {2, -0.785, 0, -2.356, 0, 1.571, 0.785}, 0.3},
      back,
      {"into the table", {0, 1.2, 0, -1.2, 0, 2.4, 0.785}, 2},
      back,
      {"into itself", {0, -0.785, 0, -3.05, 0, 0.3, 0.785}, 2},
      back,
      {"not a number", {0, -0.785, nan, -2.356, 0, 1.571, 0.785}},
      {"joints missing", Joints(5, 0.0)},
  };
  for (const Exercise& exercise : exercises)
    std::printf("%-24s %s\n", exercise.name, execution.execute(exercise.action, exercise.duration_s).c_str());
  std::printf("%lld limits broken, at least %.2g m from everything\n",
              static_cast<long long>(execution.violations()), execution.least_distance());
  return execution.violations() == 0 && execution.least_distance() > 0 ? 0 : 1;
} catch (const vla_rt::VlaRtError& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 2;
}
