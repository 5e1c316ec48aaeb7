#include "execution/stop.hpp"

#include <algorithm>
#include <cmath>

namespace vla_rt::execution {

// Mirrored so that the joint would go on forward once its acceleration was zero, the jerk is -J, 0, +J and
// the acceleration bottoms at -peak (the velocity interface of Ruckig, Berscheid and Kroeger 2021, with
// target rest).
Stop Stop::plan(double q, double v, double a, const JointLimits& limits, std::size_t d) noexcept {
  const double A = limits.max_acceleration[d], J = limits.max_jerk[d];
  a = std::clamp(a, -A, A);
  const double sigma = v + a * std::fabs(a) / (2 * J) >= 0 ? 1.0 : -1.0;
  const double forward_v = sigma * v, forward_a = sigma * a;
  const double squared = std::max(0.0, J * forward_v + 0.5 * forward_a * forward_a);
  const double peak = std::min(A, std::sqrt(squared));
  const double durations[3] = {std::max(0.0, (forward_a + peak) / J),
                               squared > A * A ? (squared - A * A) / (J * A) : 0.0, peak / J};
  const double jerks[3] = {-sigma * J, 0, sigma * J};

  Stop stop;
  stop.min_position = std::min(q, limits.min_position[d]);
  stop.max_position = std::max(q, limits.max_position[d]);
  for (std::size_t k = 0; k < 3; ++k) {
    const double t = durations[k], jerk = jerks[k];
    stop.pieces[k] = {.duration = t, .q = q, .v = v, .a = a, .jerk = jerk};
    q += t * (v + t * (0.5 * a + t * jerk / 6));
    v += t * (a + 0.5 * t * jerk);
    a += t * jerk;
  }
  stop.rest = q;
  return stop;
}

void Stop::evaluate(double t, double& q, double& v, double& a) const noexcept {
  q = rest;
  v = a = 0;
  for (const Piece& piece : pieces) {
    if (t < piece.duration) {
      q = piece.q + t * (piece.v + t * (0.5 * piece.a + t * piece.jerk / 6));
      v = piece.v + t * (piece.a + 0.5 * t * piece.jerk);
      a = piece.a + t * piece.jerk;
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
