#include "constraints/start_checks.hpp"

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

}  // namespace vla_rt::constraints
