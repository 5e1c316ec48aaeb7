#include "execution/rotation_map.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "vla_rt/action_space/rotation.hpp"

namespace vla_rt::execution {
namespace {

Quaternion product(const Quaternion& a, const Quaternion& b) noexcept {
  return {a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1],
          a[3] * b[1] - a[0] * b[2] + a[1] * b[3] + a[2] * b[0],
          a[3] * b[2] + a[0] * b[1] - a[1] * b[0] + a[2] * b[3],
          a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2]};
}

Quaternion conjugate(const Quaternion& q) noexcept { return {-q[0], -q[1], -q[2], q[3]}; }

double dot(std::span<const double> a, std::span<const double> b) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Vector3 cross(const Vector3& a, const Vector3& b) noexcept {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

/// A rotation on its way, from the plan's unnormalised quaternion.
struct Turning {
  Quaternion q{};                      // unit
  Vector3 velocity{}, acceleration{};  // angular, world

  Turning(const Motion& motion, std::size_t at) noexcept {
    Quaternion p{}, dp{}, ddp{};
    std::copy_n(motion.q.data() + at, 4, p.data());
    std::copy_n(motion.dq.data() + at, 4, dp.data());
    std::copy_n(motion.ddq.data() + at, 4, ddp.data());
    const double square = dot(p, p);
    if (!(square > 1e-24)) {  // halfway between opposite rotations: any answer is as good
      q = {0, 0, 0, 1};
      return;
    }
    const double scale = 1 / std::sqrt(square);
    for (std::size_t i = 0; i < 4; ++i) q[i] = p[i] * scale;
    const Quaternion back = conjugate(p), first = product(dp, back), second = product(ddp, back);
    const double shrink = 2 * dot(p, dp) / square;
    for (std::size_t i = 0; i < 3; ++i) {
      velocity[i] = 2 * first[i] / square;
      acceleration[i] = 2 * second[i] / square - velocity[i] * shrink;
    }
  }
};

/// The rotation vector of a unit quaternion, angle in [0, pi].
Vector3 rotation_vector(const Quaternion& q) noexcept {
  const double sine = std::sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
  double angle = 2 * std::atan2(sine, q[3]);
  if (angle > std::numbers::pi) angle -= 2 * std::numbers::pi;
  const double scale = sine > 1e-12 ? angle / sine : (q[3] < 0 ? -2.0 : 2.0);
  return {q[0] * scale, q[1] * scale, q[2] * scale};
}

/// Of all rotation vectors of the rotation `r`, whole turns apart, the one next to `last`.
Vector3 nearest_branch(const Vector3& r, const double* last) noexcept {
  if (!last) return r;
  constexpr double kTurn = 2 * std::numbers::pi;
  const Vector3 there{last[0], last[1], last[2]};
  const double angle = std::sqrt(dot(r, r));
  const bool any_axis = angle < 1e-9;
  const Vector3& along = any_axis ? there : r;
  const double length = any_axis ? std::sqrt(dot(there, there)) : angle;
  if (length < 1e-9) return r;
  const double turns = std::floor((dot(along, there) / length - angle) / kTurn + 0.5);
  const double scale = turns * kTurn / length;
  return {r[0] + along[0] * scale, r[1] + along[1] * scale, r[2] + along[2] * scale};
}

/// The rate of a rotation vector under the world's angular velocity (the inverse left Jacobian of SO(3)). At
/// a whole turn, where only the rate along the vector exists, that one.
Vector3 rate_of(const Vector3& r, const Vector3& velocity) noexcept {
  const double square = dot(r, r), angle = std::sqrt(square), sine = std::sin(angle / 2);
  double c = 1.0 / 12;
  if (angle >= 1e-4) c = 1 / square;
  if (angle >= 1e-4 && std::fabs(sine) > 1e-7) c -= std::cos(angle / 2) / (2 * angle * sine);
  const Vector3 once = cross(r, velocity), twice = cross(r, once);
  Vector3 rate{};
  for (std::size_t i = 0; i < 3; ++i) rate[i] = velocity[i] - 0.5 * once[i] + c * twice[i];
  return rate;
}

}  // namespace

RotationMap::RotationMap(const ChunkExecutorConfig& config) : config_(config) {
  std::vector<bool> taken(static_cast<std::size_t>(config.action_dim));
  for (const RotationDims& dims : config.rotation_dims)
    for (std::size_t i = 0; i < size_of(dims.format); ++i)
      taken[static_cast<std::size_t>(dims.first) + i] = true;
  for (std::size_t d = 0; d < taken.size(); ++d)
    if (!taken[d]) plain_.emplace_back(d, plain_.size());
  std::size_t next = plain_.size();
  for (const RotationDims& dims : config.rotation_dims) {
    groups_.push_back({dims, next});
    next += 4;
  }
  inner_dim_ = static_cast<int>(next);
}

ChunkExecutorConfig RotationMap::inner_config() const {
  ChunkExecutorConfig inner = config_;
  if (empty()) return inner;
  inner.action_dim = inner_dim_;
  inner.rotation_dims.clear();
  inner.discrete_dims.clear();
  for (const auto& [from, to] : plain_)
    if (std::ranges::count(config_.discrete_dims, static_cast<int>(from)) > 0)
      inner.discrete_dims.push_back(static_cast<int>(to));
  if (!config_.limits) return inner;
  const JointLimits& limits = *config_.limits;
  JointLimits wide;
  wide.num_joints = inner_dim_;
  wide.min_position.fill(-JointLimits::kMaxPosition);
  wide.max_position.fill(JointLimits::kMaxPosition);
  for (JointArray* rates : {&wide.max_velocity, &wide.max_acceleration, &wide.max_jerk})
    rates->fill(JointLimits::kMaxRate);
  constexpr std::array rates{&JointLimits::max_velocity, &JointLimits::max_acceleration,
                             &JointLimits::max_jerk};
  for (const auto& [from, to] : plain_) {
    if (from >= static_cast<std::size_t>(limits.num_joints)) continue;
    wide.min_position[to] = limits.min_position[from];
    wide.max_position[to] = limits.max_position[from];
    for (const auto rate : rates) (wide.*rate)[to] = (limits.*rate)[from];
  }
  // A unit quaternion moves at half the angular rate, and its four numbers stop each on their own.
  for (const Group& group : groups_)
    for (const auto rate : rates)
      for (std::size_t i = 0; i < size_of(group.outer.format); ++i) {
        const std::size_t d = static_cast<std::size_t>(group.outer.first) + i;
        if (d >= static_cast<std::size_t>(limits.num_joints)) continue;
        for (std::size_t k = 0; k < 4; ++k) {
          double& least = (wide.*rate)[group.inner + k];
          least = std::min(least, (limits.*rate)[d] / 4);
        }
      }
  inner.limits = wide;
  return inner;
}

void RotationMap::to_inner(const ActionChunk& outer, ActionChunk& inner) const {
  inner.resize(outer.horizon, inner_dim_);
  inner.start_time_ns = outer.start_time_ns;
  inner.period_ns = outer.period_ns;
  inner.sequence = outer.sequence;
  for (int t = 0; t < outer.horizon; ++t) {
    const auto from = outer.row(t);
    const auto to = inner.row(t);
    for (const auto& [d, k] : plain_) to[k] = from[d];
    for (const Group& group : groups_) {
      const RotationFormat format = group.outer.format;
      const auto given = from.subspan(static_cast<std::size_t>(group.outer.first), size_of(format));
      Quaternion q = to_quaternion(format, given, "chunk[" + std::to_string(t) + "]");
      const auto before = t > 0 ? std::span<const double>(inner.row(t - 1)).subspan(group.inner, 4)
                          : format == RotationFormat::Quaternion ? given
                                                                 : std::span<const double>(q);
      const double sign = dot(q, before) < 0 ? -1 : 1;
      for (std::size_t i = 0; i < 4; ++i) to[group.inner + i] = sign * q[i];
    }
  }
}

std::vector<double> RotationMap::to_inner(std::span<const double> position) const {
  std::vector<double> inner(static_cast<std::size_t>(inner_dim_));
  for (const Group& group : groups_) inner[group.inner + 3] = 1;
  if (position.empty()) return inner;
  for (const auto& [d, k] : plain_) inner[k] = position[d];
  for (const Group& group : groups_) {
    const auto given =
        position.subspan(static_cast<std::size_t>(group.outer.first), size_of(group.outer.format));
    const Quaternion q = to_quaternion(group.outer.format, given, "position");
    const bool flip = group.outer.format == RotationFormat::Quaternion && dot(q, given) < 0;
    for (std::size_t i = 0; i < 4; ++i) inner[group.inner + i] = flip ? -q[i] : q[i];
  }
  return inner;
}

void RotationMap::align(ActionChunk& inner, int row, const Motion& motion) const noexcept {
  for (const Group& group : groups_) {
    const auto there = std::span<const double>(inner.row(row)).subspan(group.inner, 4);
    if (dot(there, {motion.q.data() + group.inner, 4}) >= 0) continue;
    for (int t = 0; t < inner.horizon; ++t)
      for (double& x : inner.row(t).subspan(group.inner, 4)) x = -x;
  }
}

void RotationMap::to_outer(const Motion& inner, const double* last, std::span<double> position,
                           std::span<double> velocity) const noexcept {
  for (const auto& [d, k] : plain_) {
    position[d] = inner.q[k];
    velocity[d] = inner.dq[k];
  }
  for (const Group& group : groups_) {
    const Turning turning(inner, group.inner);
    const auto first = static_cast<std::size_t>(group.outer.first);
    const auto q = position.subspan(first, size_of(group.outer.format));
    const auto dq = velocity.subspan(first, size_of(group.outer.format));
    const Vector3& w = turning.velocity;
    if (group.outer.format == RotationFormat::RotationVector) {
      const Vector3 r = nearest_branch(rotation_vector(turning.q), last ? last + first : nullptr);
      std::ranges::copy(r, q.begin());
      std::ranges::copy(rate_of(r, w), dq.begin());
      continue;
    }
    from_quaternion(turning.q, group.outer.format, q);
    if (group.outer.format == RotationFormat::Quaternion) {
      std::ranges::copy(turning.q, q.begin());
      const Quaternion rate = product({w[0] / 2, w[1] / 2, w[2] / 2, 0}, turning.q);
      std::ranges::copy(rate, dq.begin());
      continue;
    }
    for (std::size_t column : {0, 3})
      std::ranges::copy(cross(w, {q[column], q[column + 1], q[column + 2]}),
                        dq.begin() + static_cast<std::ptrdiff_t>(column));
  }
}

Seam RotationMap::jump(const Motion& from, const Motion& to) const noexcept {
  Seam seam;
  for (const auto& [d, k] : plain_) {
    seam.position[d] = std::fabs(from.q[k] - to.q[k]);
    seam.velocity[d] = std::fabs(from.dq[k] - to.dq[k]);
    seam.acceleration[d] = std::fabs(from.ddq[k] - to.ddq[k]);
  }
  for (const Group& group : groups_) {
    const Turning a(from, group.inner), b(to, group.inner);
    const Vector3 between = rotation_vector(product(b.q, conjugate(a.q)));
    for (std::size_t i = 0; i < 3; ++i) {
      const std::size_t d = static_cast<std::size_t>(group.outer.first) + i;
      seam.position[d] = std::fabs(between[i]);
      seam.velocity[d] = std::fabs(a.velocity[i] - b.velocity[i]);
      seam.acceleration[d] = std::fabs(a.acceleration[i] - b.acceleration[i]);
    }
  }
  return seam;
}

}  // namespace vla_rt::execution
