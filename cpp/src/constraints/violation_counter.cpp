#include "vla_rt/constraints/violation_counter.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "constraints/joint_bounds.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

ViolationCounter::ViolationCounter(const JointLimits& limits, double period_s)
    : limits_(limits), period_s_(period_s) {
  limits.validate();
  if (!constraints::within(period_s, 1e-6, 1))
    throw ConfigError("period_s", number(period_s), "must be in [1e-6, 1] s");
}

void ViolationCounter::reset(std::span<const double> position) noexcept {
  const std::size_t n = std::min(position.size(), static_cast<std::size_t>(limits_.num_joints));
  for (JointArray& past : past_) std::copy_n(position.begin(), n, past.begin());
  worst_ = {};
  total_ = 0;
}

int ViolationCounter::add(std::span<const double> position) noexcept {
  constexpr double kEps = std::numeric_limits<double>::epsilon();
  const std::size_t n = static_cast<std::size_t>(limits_.num_joints);
  if (position.size() != n) {
    ++total_;
    return 1;
  }
  int found = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double q = position[i], q1 = past_[0][i], q2 = past_[1][i], q3 = past_[2][i];
    if (!constraints::within(q, limits_.min_position[i], limits_.max_position[i])) ++found;
    const double differences[3] = {q - q1, (q - q1) - (q1 - q2), (q - q1) - 2 * (q1 - q2) + (q2 - q3)};
    const double bounds[3] = {limits_.max_velocity[i], limits_.max_acceleration[i], limits_.max_jerk[i]};
    const double rounding = 8 * kEps * std::max(1.0, std::fabs(q));
    double dt_k = 1, two_k = 1;
    for (int k = 0; k < 3; ++k) {
      dt_k *= period_s_;
      two_k *= 2;
      const double rate = std::fabs(differences[k]) / dt_k;
      const double allowed = bounds[k] * (1 + 1e-6) + two_k * rounding / dt_k;
      if (!(rate <= allowed)) ++found;
      double& worst = worst_[static_cast<std::size_t>(k)];
      if (!(rate / bounds[k] <= worst)) worst = rate / bounds[k];
    }
    past_[2][i] = q2;
    past_[1][i] = q1;
    past_[0][i] = q;
  }
  total_ += found;
  return found;
}

void ViolationCounter::set_limits(const JointLimits& limits) {
  limits.validate();
  if (limits.num_joints != limits_.num_joints)
    throw ConfigError("num_joints", std::to_string(limits.num_joints),
                      "must stay " + std::to_string(limits_.num_joints));
  limits_ = limits;
}

}  // namespace vla_rt
