#include "vla_rt/execution/simulated_robot.hpp"

#include <cmath>
#include <numbers>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

struct Matrix2 {
  double a, b, c, d;
  Matrix2 operator*(const Matrix2& m) const {
    return {a * m.a + b * m.c, a * m.b + b * m.d, c * m.a + d * m.c, c * m.b + d * m.d};
  }
};

// Scaling and squaring: one formula for under-, critically and over-damped servos.
Matrix2 exponential(Matrix2 m) {
  int halvings = 0;
  while (std::abs(m.a) + std::abs(m.b) + std::abs(m.c) + std::abs(m.d) > 0.5) {
    m = {m.a / 2, m.b / 2, m.c / 2, m.d / 2};
    ++halvings;
  }
  Matrix2 sum{1, 0, 0, 1}, term = sum;
  for (int k = 1; k <= 14; ++k) {
    term = term * m;
    term = {term.a / k, term.b / k, term.c / k, term.d / k};
    sum = {sum.a + term.a, sum.b + term.b, sum.c + term.c, sum.d + term.d};
  }
  for (; halvings > 0; --halvings) sum = sum * sum;
  return sum;
}

void require_positive(const char* name, double value, double maximum) {
  if (!(value > 0 && value <= maximum))
    throw ConfigError(name, number(value), "must be finite, > 0 and <= " + number(maximum));
}

}  // namespace

SimulatedRobot::SimulatedRobot(const JointLimits& limits, std::span<const double> position,
                               const ServoModel& servo)
    : limits_(limits) {
  limits_.validate();
  require_positive("natural_frequency_hz", servo.natural_frequency_hz, 1e4);
  require_positive("damping_ratio", servo.damping_ratio, 100);
  require_positive("period_s", servo.period_s, 1);
  if (position.size() != static_cast<std::size_t>(limits_.num_joints))
    throw ConfigError("position", std::to_string(position.size()) + " values",
                      "must have one per joint of the limits, " + std::to_string(limits_.num_joints));
  for (std::size_t j = 0; j < position.size(); ++j)
    if (!(position[j] >= limits_.min_position[j] && position[j] <= limits_.max_position[j]))
      throw ConfigError(indexed("position", static_cast<long>(j)), number(position[j]),
                        "must be within [" + number(limits_.min_position[j]) + ", " +
                            number(limits_.max_position[j]) + "]");
  period_ns_ = from_seconds(servo.period_s);
  const double w = 2 * std::numbers::pi * servo.natural_frequency_hz, h = servo.period_s;
  const Matrix2 phi = exponential({0, h, -w * w * h, -2 * servo.damping_ratio * w * h});
  a_ = phi.a;
  b_ = phi.b;
  c_ = phi.c;
  d_ = phi.d;
  state_.num_joints = limits_.num_joints;
  std::copy(position.begin(), position.end(), state_.position.begin());
}

SimulatedRobot::~SimulatedRobot() = default;

void SimulatedRobot::start() {
  state_.time_ns = steady_now();
  fresh_ = true;
}

ReadResult SimulatedRobot::read(RobotState& state) noexcept {
  state = state_;
  const bool fresh = fresh_;
  fresh_ = false;
  return fresh ? ReadResult::Fresh : ReadResult::Unchanged;
}

void SimulatedRobot::write(const RobotCommand& command) noexcept {
  for (std::size_t j = 0; j < static_cast<std::size_t>(limits_.num_joints); ++j) {
    const double u = command.position[j], e = state_.position[j] - u, v = state_.velocity[j];
    state_.position[j] = u + a_ * e + b_ * v;
    state_.velocity[j] = c_ * e + d_ * v;
  }
  state_.time_ns = command.time_ns + period_ns_;
  ++state_.sequence;
  fresh_ = true;
}

void SimulatedRobot::observe(const RobotState& state, Observation& observation) {
  Robot::observe(state, observation);
  features_.copy_to(observation);
}

}  // namespace vla_rt
