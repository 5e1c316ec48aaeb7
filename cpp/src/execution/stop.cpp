#include "execution/stop.hpp"

#include <algorithm>

#include "constraints/certified_stop.hpp"

namespace vla_rt::execution {

using constraints::advanced;
using constraints::MotionState;

Stop Stop::plan(double q, double v, double a, const JointLimits& limits, std::size_t d) noexcept {
  const double A = limits.max_acceleration[d], J = limits.max_jerk[d];
  MotionState x{.q = q, .v = v, .a = std::clamp(a, -A, A)};
  const constraints::StopProfile profile = constraints::stop_profile(x.v, x.a, A, J);
  const double durations[3] = {profile.t1, profile.t2, profile.t3};
  const double jerks[3] = {-profile.sigma * J, 0, profile.sigma * J};

  Stop stop;
  stop.min_position = std::min(q, limits.min_position[d]);
  stop.max_position = std::max(q, limits.max_position[d]);
  for (std::size_t k = 0; k < 3; ++k) {
    stop.pieces[k] = {.duration = durations[k], .q = x.q, .v = x.v, .a = x.a, .jerk = jerks[k]};
    x = advanced(x, jerks[k], durations[k]);
  }
  stop.rest = x.q;
  return stop;
}

void Stop::evaluate(double t, double& q, double& v, double& a) const noexcept {
  q = rest;
  v = a = 0;
  for (const Piece& piece : pieces) {
    if (t < piece.duration) {
      const MotionState x = advanced({.q = piece.q, .v = piece.v, .a = piece.a}, piece.jerk, t);
      q = x.q;
      v = x.v;
      a = x.a;
      break;
    }
    t -= piece.duration;
  }
  if (q < min_position || q > max_position) {
    q = std::clamp(q, min_position, max_position);
    v = a = 0;
  }
}

}  // namespace vla_rt::execution
