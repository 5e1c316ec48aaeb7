#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "constraints/joint_bounds.hpp"
#include "constraints/motion_state.hpp"
#include "constraints/swept_check.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

// What a start must fulfil, and what is said when it does not. Set-up, but for `refused_start`.

namespace vla_rt::constraints {

/// The first exact (not inner) limit that does not admit x, to rounding, as a `Cause` bit; 0 if all do.
[[nodiscard]] unsigned refused_start(const MotionState& x, const JointBounds& b) noexcept;

/// Throws ConfigError naming joint i, its value and bound.
[[noreturn]] void throw_refused_start(unsigned cause, std::size_t i, const MotionState& x,
                                      const JointBounds& b);

/// Throws ConfigError for what is wrong with standing, or stopping from, where the check stands.
[[noreturn]] void throw_refused_surroundings(const SweptCheck& check, std::span<const double> q);

/// Throws ConfigError unless there are n finite values, or, where that is allowed, none.
void check_values(const char* name, std::span<const double> values, std::size_t n, bool may_be_empty);

/// Whether both have the same movable joints, frame by frame.
[[nodiscard]] bool same_chain(const Kinematics& a, const Kinematics& b);

/// Which of n joints those of the chain are: `given`, or all of them where that is empty. Throws ConfigError
/// where that does not fit.
[[nodiscard]] std::vector<std::size_t> chain_joints(const Kinematics& chain, std::span<const int> given,
                                                    int n);

}  // namespace vla_rt::constraints
