#include "constraints/limits_in_force.hpp"

#include <utility>

#include "constraints/certified_stop.hpp"
#include "constraints/start_checks.hpp"

namespace vla_rt::constraints {

void LimitsInForce::set(const JointLimits& limits) noexcept {
  n_ = static_cast<std::size_t>(limits.num_joints);
  for (std::size_t i = 0; i < n_; ++i) bounds_[i] = asked_[i] = bounds_of(limits, i);
  waits_ = cannot_obey_ = {};
  any_waits_ = fault_ = false;
}

void LimitsInForce::ask(const JointLimits& limits, const CommandedMotion& now) noexcept {
  for (std::size_t i = 0; i < n_; ++i) {
    asked_[i] = bounds_of(limits, i);
    waits_[i] = true;
    const Extent stop = stop_extent(now.state(i), bounds_[i].A, bounds_[i].J);
    cannot_obey_[i] =
        stop.lo < asked_[i].min_q - rounding_of(stop.lo) || stop.hi > asked_[i].max_q + rounding_of(stop.hi);
    fault_ = fault_ || cannot_obey_[i];
  }
  any_waits_ = true;
}

bool LimitsInForce::adopt(const CommandedMotion& now) noexcept {
  bool any_adopted = false;
  any_waits_ = false;
  for (std::size_t i = 0; i < n_; ++i) {
    adopted_[i] = waits_[i] && !cannot_obey_[i] && refused_start(now.state(i), asked_[i]) == 0;
    if (adopted_[i]) {
      std::swap(bounds_[i], asked_[i]);
      waits_[i] = false;
    }
    any_adopted = any_adopted || adopted_[i];
    any_waits_ = any_waits_ || waits_[i];
  }
  return any_adopted;
}

void LimitsInForce::take_back() noexcept {
  for (std::size_t i = 0; i < n_; ++i) {
    if (!adopted_[i]) continue;
    std::swap(bounds_[i], asked_[i]);
    waits_[i] = any_waits_ = true;
  }
}

unsigned LimitsInForce::why_waits(std::size_t i, const MotionState& x) const noexcept {
  return refused_start(x, asked_[i]);
}

}  // namespace vla_rt::constraints
