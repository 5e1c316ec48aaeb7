#include "constraints/start_checks.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "constraints/safe_set.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt::constraints {

unsigned refused_start(const MotionState& x, const JointBounds& b) noexcept {
  if (!within(x.q, b.min_q, b.max_q)) return kPosition;
  return outside_safe_set(x, b, b.V * (1 + 1e-12),
                          {b.min_q - rounding_of(b.min_q), b.max_q + rounding_of(b.max_q)});
}

void throw_refused_start(unsigned cause, std::size_t i, const MotionState& x, const JointBounds& b) {
  const long joint = static_cast<long>(i);
  if (!within(x.q, b.min_q, b.max_q))
    throw ConfigError(indexed("position", joint), number(x.q),
                      "must be in [" + number(b.min_q) + ", " + number(b.max_q) + "]");
  if (cause == kAcceleration)
    throw ConfigError(indexed("acceleration", joint), number(x.a), "must be within +-" + number(b.A));
  if (cause == kVelocity)
    throw ConfigError(indexed("velocity", joint), number(x.v),
                      "must be within +-" + number(b.V) + ", also while the acceleration is brought to zero");
  const Extent stop = stop_extent(x, b.A, b.J);
  throw ConfigError(indexed("position", joint), number(x.q),
                    "the shortest stop runs over [" + number(stop.lo) + ", " + number(stop.hi) +
                        "], must be in [" + number(b.min_q) + ", " + number(b.max_q) + "]");
}

void throw_refused_surroundings(const SweptCheck& check, std::span<const double> q) {
  std::string where = "(";
  for (const double x : q) where += (where.size() > 1 ? ", " : "") + number(x);
  where += ')';
  const Gap* gap = check.tightest();
  const double d = check.tightest_distance();
  if (gap == nullptr || d >= SweptCheck::kStartGap)
    throw ConfigError("position", where,
                      check.blocker() == kWorkspace
                          ? "the shortest stop leaves the workspace"
                          : "the shortest stop ends in or passes through a collision");
  const std::string& first = check.model().name(gap->first_name);
  const std::string& second = check.model().name(gap->second_name);
  if (gap->is_direction) {
    const auto angle = [](double cosine) {
      return std::round(1e6 * std::acos(std::clamp(cosine, -1.0, 1.0))) / 1e6;
    };
    const double least = check.model().support(*gap, {}), most = angle(least), tilt = angle(least + d);
    throw ConfigError("position", where,
                      first + " is tilted by " + number(tilt) + " rad, its workspace allows " + number(most));
  }
  const std::string what = gap->is_workspace ? first + " is " + number(-d) + " m outside its workspace"
                                             : first + " is " + number(-d) + " m inside " + second +
                                                   " (ignore the pair if it may be)";
  throw ConfigError("position", where,
                    what + ", must be at least " + number(SweptCheck::kStartGap) + " m clear");
}

void check_values(const char* name, std::span<const double> values, std::size_t n, bool may_be_empty) {
  if (may_be_empty && values.empty()) return;
  if (values.size() != n)
    throw ConfigError(name, std::to_string(values.size()) + " values", "must have " + std::to_string(n));
  for (std::size_t i = 0; i < n; ++i)
    if (!std::isfinite(values[i]))
      throw ConfigError(indexed(name, static_cast<long>(i)), number(values[i]), "must be finite");
}

bool same_chain(const Kinematics& a, const Kinematics& b) {
  if (a.joint_names() != b.joint_names()) return false;
  for (int j = 0; j < a.num_joints(); ++j) {
    const ChainJoint &x = a.joint(j), &y = b.joint(j);
    if (x.origin.rotation != y.origin.rotation || x.origin.translation != y.origin.translation ||
        x.axis != y.axis || x.prismatic != y.prismatic)
      return false;
  }
  return true;
}

std::vector<std::size_t> chain_joints(const Kinematics& chain, std::span<const int> given, int n) {
  const std::string has = std::to_string(chain.num_joints()) + " joints";
  std::vector<std::size_t> joints;
  if (given.empty()) {
    if (chain.num_joints() != n)
      throw ConfigError("kinematics", has,
                        "must have as many as limits: " + std::to_string(n) +
                            "; or say in chain_joints which of these they are");
    for (int i = 0; i < n; ++i) joints.push_back(static_cast<std::size_t>(i));
    return joints;
  }
  if (given.size() != static_cast<std::size_t>(chain.num_joints()))
    throw ConfigError("chain_joints", std::to_string(given.size()) + " joints",
                      "must name one joint of the limits for each of the chain's " + has);
  for (std::size_t k = 0; k < given.size(); ++k) {
    const std::string name = indexed("chain_joints", static_cast<long>(k));
    if (given[k] < 0 || given[k] >= n)
      throw ConfigError(name, std::to_string(given[k]), "must be in 0.." + std::to_string(n - 1));
    const auto joint = static_cast<std::size_t>(given[k]);
    if (std::ranges::find(joints, joint) != joints.end())
      throw ConfigError(name, std::to_string(given[k]), "occurs twice");
    joints.push_back(joint);
  }
  return joints;
}

}  // namespace vla_rt::constraints
