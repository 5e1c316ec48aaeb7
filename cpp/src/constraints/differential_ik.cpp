#include "vla_rt/constraints/differential_ik.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "constraints/damped_least_squares.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

using constraints::DampedLeastSquares;
using constraints::Task;

namespace {

constexpr double kMaxError = 0.2;     // [m]: a farther target is a nearer one in the same direction
constexpr double kCurvature = 0.125;  // of the tool's path as joints turn, in parts of the reach
constexpr double kTiny = 1e-300;
constexpr double kLeastDamping = 1e-8;  // [m^2/rad^2]: keeps the solver's rounding harmless
constexpr double kMetPosition = 1e-4, kMetRotation = 1e-3;  // [m], [rad]: what counts as met
constexpr double kPostureShare = 0.1;                       // of the velocity limit
constexpr double kVelocityShare = 0.95;  // so that the enforcer can catch up with the joints here
constexpr double kBrakeShare = 0.5;      // of acceleration and jerk, for the same reason

JointLimits validated(const JointLimits& limits, const Kinematics& kinematics) {
  limits.validate();
  if (limits.num_joints != kinematics.num_joints())
    throw ConfigError("limits", std::to_string(limits.num_joints) + " joints",
                      "must be those of the kinematic chain, " + std::to_string(kinematics.num_joints()));
  return limits;
}

DifferentialIkOptions validated(const DifferentialIkOptions& o, const JointLimits& limits) {
  const auto require = [](const char* name, double value, bool good, const char* bound) {
    if (!good) throw ConfigError(name, number(value), bound);
  };
  require("rotation_scale", o.rotation_scale, o.rotation_scale >= 1e-6 && o.rotation_scale <= 1e3,
          "must be in [1e-6, 1e3] m/rad");
  require("singular_value", o.singular_value, o.singular_value >= 1e-6 && o.singular_value <= 1,
          "must be in [1e-6, 1] m/rad");
  require("posture_gain", o.posture_gain, o.posture_gain >= 0 && o.posture_gain <= 100,
          "must be in [0, 100] 1/s");
  if (!o.posture.empty() && o.posture.size() != static_cast<std::size_t>(limits.num_joints))
    throw ConfigError("posture", std::to_string(o.posture.size()) + " numbers",
                      "must have " + std::to_string(limits.num_joints));
  for (std::size_t j = 0; j < o.posture.size(); ++j)
    if (!(o.posture[j] >= limits.min_position[j] && o.posture[j] <= limits.max_position[j]))
      throw ConfigError(
          indexed("posture", static_cast<long>(j)), number(o.posture[j]),
          "must be within [" + number(limits.min_position[j]) + ", " + number(limits.max_position[j]) + "]");
  return o;
}

double norm(const Vector3& v) noexcept { return std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]); }

// The farthest the tip can be from any joint's axis, roughly: the arm stretched out.
double reach_of(const Kinematics& kinematics, const JointLimits& limits) {
  double reach = norm(kinematics.tip().offset.translation);
  for (int i = 0; i < kinematics.num_joints(); ++i) {
    const ChainJoint& joint = kinematics.joint(i);
    const auto j = static_cast<std::size_t>(i);
    if (i > 0) reach += norm(joint.origin.translation);
    if (joint.prismatic)
      reach += std::min(10.0, std::max(std::abs(limits.min_position[j]), std::abs(limits.max_position[j])));
  }
  return reach;
}

}  // namespace

struct DifferentialIk::Impl {
  Impl(const Kinematics& kinematics_in, const JointLimits& limits_in, double period,
       const DifferentialIkOptions& options_in)
      : kinematics(kinematics_in),
        limits(validated(limits_in, kinematics)),
        options(validated(options_in, limits)),
        dt(period),
        n(static_cast<std::size_t>(limits.num_joints)),
        reach(reach_of(kinematics, limits)),
        solver(n) {
    if (!(dt > 0 && dt <= 1)) throw ConfigError("period_s", number(dt), "must be in (0, 1] s");
  }

  void look() noexcept;
  [[nodiscard]] static Twist difference(const Pose& from, const Pose& to) noexcept;
  [[nodiscard]] Task weighted(const Twist& t) const noexcept;
  [[nodiscard]] double brake(double distance, std::size_t j) const noexcept;
  void step(Task e, const Task& rate, bool estimated, double singular) noexcept;
  void feed_forward(const Task& rate, double damping, bool estimated) noexcept;
  Status tick(const Pose& goal, const Twist* rate, DifferentialIkReport& report) noexcept;

  const Kinematics kinematics;
  const JointLimits limits;
  const DifferentialIkOptions options;
  const double dt;
  const std::size_t n;
  const double reach;  // [m]

  bool started = false;
  JointArray q{}, dq{}, posture{};
  Pose tool, target;  // at q; where it shall be
  DampedLeastSquares solver;
  JointArray lo{}, hi{}, lo_rate{}, hi_rate{}, x{}, v{}, bias{};
  static constexpr JointArray none{};
};

// Pose and Jacobian at q; the Jacobian's angular rows in the unit of the linear ones.
void DifferentialIk::Impl::look() noexcept {
  const std::span<double> jacobian = solver.jacobian();
  tool = to_pose(kinematics.forward({q.data(), n}, jacobian));
  for (std::size_t i = 3 * n; i < 6 * n; ++i) jacobian[i] *= options.rotation_scale;
}

Twist DifferentialIk::Impl::difference(const Pose& from, const Pose& to) noexcept {
  Twist d;
  for (std::size_t k = 0; k < 3; ++k) d.linear[k] = to.position[k] - from.position[k];
  d.angular = rotation_between(from.rotation, to.rotation);
  return d;
}

Task DifferentialIk::Impl::weighted(const Twist& t) const noexcept {
  const double scale = options.rotation_scale;
  return {t.linear[0],          t.linear[1],          t.linear[2],
          scale * t.angular[0], scale * t.angular[1], scale * t.angular[2]};
}

// How much of a distance to go in this tick, so that half of the joint's acceleration and jerk suffice to
// stop at its end: v^2/2a + v a/2j = distance.
double DifferentialIk::Impl::brake(double distance, std::size_t j) const noexcept {
  const double a = kBrakeShare * limits.max_acceleration[j], b = a * a / (kBrakeShare * limits.max_jerk[j]);
  const double far = std::abs(distance);
  const double speed = 4 * a * far / (b + std::sqrt(b * b + 8 * a * far) + kTiny);
  return std::min(speed * dt, far);
}

// An estimate that no motion within the limits could follow is a new goal, not a velocity.
void DifferentialIk::Impl::feed_forward(const Task& rate, double damping, bool estimated) noexcept {
  double most = 1;  // all slowed alike, so that they come to rest where nothing more is to be gained
  for (std::size_t j = 0; j < n; ++j) {
    bias[j] = options.posture_gain * (posture[j] - q[j]);
    most = std::max(most, std::abs(bias[j]) / (kPostureShare * limits.max_velocity[j]));
  }
  for (std::size_t j = 0; j < n; ++j) {
    bias[j] /= most;
    lo_rate[j] = -brake(lo[j], j) / dt;
    hi_rate[j] = brake(hi[j], j) / dt;
  }
  const auto solve = [&](const Task& wanted) {
    solver.minimise(wanted, damping, {bias.data(), n}, {lo_rate.data(), n}, {hi_rate.data(), n},
                    {v.data(), n});
  };
  solve(rate);
  bool feasible = true;
  for (std::size_t j = 0; j < n; ++j) feasible = feasible && std::abs(v[j]) <= limits.max_velocity[j];
  if (estimated && !feasible) solve({});
}

void DifferentialIk::Impl::step(Task e, const Task& rate, bool estimated, double singular) noexcept {
  double linear = norm({e[0], e[1], e[2]}), angular = norm({e[3], e[4], e[5]});
  if (const double length = std::hypot(linear, angular); length > kMaxError) {
    const double scale = kMaxError / length;
    for (double& value : e) value *= scale;
    linear *= scale;
    angular *= scale;
  }
  const double weak = singular / options.singular_value;
  const double damping =
      kLeastDamping + (weak < 1 ? (1 - weak * weak) * options.singular_value * options.singular_value : 0) +
      kCurvature * (reach * linear + options.rotation_scale * angular);

  for (std::size_t j = 0; j < n; ++j) {
    lo[j] = limits.min_position[j] - q[j];
    hi[j] = limits.max_position[j] - q[j];
  }
  solver.minimise(e, damping, {none.data(), n}, {lo.data(), n}, {hi.data(), n}, {x.data(), n});
  feed_forward(rate, damping, estimated);

  // The target goes on with v; only what is left of x has to be braked for.
  double share = 1;
  for (std::size_t j = 0; j < n; ++j)
    if (const double rest = std::abs(x[j] - v[j] * dt); rest > 0)
      share = std::min(share, brake(rest, j) / rest);
  double slow = 1;
  for (std::size_t j = 0; j < n; ++j) {
    x[j] = v[j] * dt + share * (x[j] - v[j] * dt);
    if (share < 1) v[j] = x[j] / dt;
    const double most = kVelocityShare * limits.max_velocity[j];
    if (std::abs(x[j]) > most * dt) slow = std::min(slow, most * dt / std::abs(x[j]));
  }
  for (std::size_t j = 0; j < n; ++j) {
    q[j] = std::clamp(q[j] + slow * x[j], limits.min_position[j], limits.max_position[j]);
    dq[j] = std::clamp(slow * v[j], -limits.max_velocity[j], limits.max_velocity[j]);
  }
}

// Without a rate it is that from the last target to this one.
Status DifferentialIk::Impl::tick(const Pose& goal, const Twist* rate,
                                  DifferentialIkReport& report) noexcept {
  report = {};
  if (!started) return report.status = Status::Fault;
  const bool good = is_valid(goal) && (rate == nullptr || is_valid(*rate));
  Task wanted{};
  if (good) {
    const Pose next{goal.position, normalized(goal.rotation)};
    wanted = weighted(rate != nullptr ? *rate : difference(target, next));
    if (rate == nullptr)
      for (double& value : wanted) value /= dt;
    target = next;
  }
  report.singular_value = solver.smallest_singular_value();
  step(weighted(difference(tool, target)), wanted, rate == nullptr, report.singular_value);
  look();
  const Twist left = difference(tool, target);
  report.position_error = norm(left.linear);
  report.rotation_error = norm(left.angular);
  const bool met = report.position_error <= kMetPosition && report.rotation_error <= kMetRotation;
  return report.status = !good ? Status::NonFinite : met ? Status::Ok : Status::Limited;
}

DifferentialIk::DifferentialIk(const Kinematics& kinematics, const JointLimits& limits, double period_s,
                               const DifferentialIkOptions& options)
    : impl_(std::make_unique<Impl>(kinematics, limits, period_s, options)) {}
DifferentialIk::~DifferentialIk() = default;
DifferentialIk::DifferentialIk(DifferentialIk&&) noexcept = default;
DifferentialIk& DifferentialIk::operator=(DifferentialIk&&) noexcept = default;

int DifferentialIk::num_joints() const noexcept { return static_cast<int>(impl_->n); }
double DifferentialIk::period_s() const noexcept { return impl_->dt; }
const Kinematics& DifferentialIk::kinematics() const noexcept { return impl_->kinematics; }
bool DifferentialIk::has_start() const noexcept { return impl_->started; }

void DifferentialIk::reset(std::span<const double> position) {
  Impl& ik = *impl_;
  if (position.size() != ik.n)
    throw ConfigError("position", std::to_string(position.size()) + " numbers",
                      "must have " + std::to_string(ik.n));
  for (std::size_t j = 0; j < ik.n; ++j)
    if (!(position[j] >= ik.limits.min_position[j] && position[j] <= ik.limits.max_position[j]))
      throw ConfigError(indexed("position", static_cast<long>(j)), number(position[j]),
                        "must be within [" + number(ik.limits.min_position[j]) + ", " +
                            number(ik.limits.max_position[j]) + "]");
  std::ranges::copy(position, ik.posture.begin());
  std::ranges::copy(ik.options.posture, ik.posture.begin());
  ik.started = true;
  follow(position);
  static_cast<void>(ik.solver.smallest_singular_value(20));
}

Status DifferentialIk::update(const Pose& target, const Twist& feedforward,
                              DifferentialIkReport& report) noexcept VLA_RT_NONBLOCKING {
  return impl_->tick(target, &feedforward, report);
}

Status DifferentialIk::update(const Pose& target, DifferentialIkReport& report) noexcept VLA_RT_NONBLOCKING {
  return impl_->tick(target, nullptr, report);
}

Status DifferentialIk::update_delta(const Vector3& translation, const Vector3& euler_xyz, DeltaFrame frame,
                                    DifferentialIkReport& report) noexcept VLA_RT_NONBLOCKING {
  // What is not finite makes a pose that is not valid.
  return impl_->tick(moved(impl_->target, translation, euler_xyz, frame), nullptr, report);
}

void DifferentialIk::follow(std::span<const double> position) noexcept VLA_RT_NONBLOCKING {
  Impl& ik = *impl_;
  for (std::size_t j = 0; j < std::min(ik.n, position.size()); ++j)
    if (std::isfinite(position[j]))
      ik.q[j] = std::clamp(position[j], ik.limits.min_position[j], ik.limits.max_position[j]);
  ik.dq.fill(0);
  ik.look();
  ik.target = ik.tool;
}

std::span<const double> DifferentialIk::position() const noexcept VLA_RT_NONBLOCKING {
  return {impl_->q.data(), impl_->n};
}
std::span<const double> DifferentialIk::velocity() const noexcept VLA_RT_NONBLOCKING {
  return {impl_->dq.data(), impl_->n};
}
Pose DifferentialIk::pose() const noexcept VLA_RT_NONBLOCKING { return impl_->tool; }
const Pose& DifferentialIk::target() const noexcept VLA_RT_NONBLOCKING { return impl_->target; }

}  // namespace vla_rt
