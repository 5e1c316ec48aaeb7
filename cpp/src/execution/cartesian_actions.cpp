#include "vla_rt/execution/cartesian_actions.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "vla_rt/core/errors.hpp"
#include "vla_rt/rt/spsc_ring.hpp"

namespace vla_rt {
namespace {

constexpr std::size_t kPose = 7, kDelta = 6;  // numbers
constexpr double kShortest = 0.1;             // quaternion of an action
constexpr TimeNs kRecordNs = 1'000'000;       // between recorded poses, at least
constexpr std::size_t kRecords = 8192;        // 8 s of them at 1 kHz: as long as an inference may take

// The commanded pose of the tool at a tick.
struct Record {
  TimeNs time = 0;
  Pose tool;
};

bool is_pose(const CartesianConfig& config) {
  return config.action_space == ActionSpaceKind::EndEffectorPose;
}

std::string element(int t, std::size_t d) {
  return "chunk[" + std::to_string(t) + "][" + std::to_string(d) + "]";
}

const CartesianConfig& validated(const CartesianConfig& config, const JointLimits& limits) {
  config.validate();
  limits.validate();
  const int arm = limits.num_joints - (config.gripper ? 1 : 0), chain = config.kinematics.num_joints();
  if (arm != chain)
    throw ConfigError("kinematics", std::to_string(chain) + " joints",
                      "must be those of the robot" +
                          std::string(config.gripper ? " less the gripper's" : "") + ", " +
                          std::to_string(arm));
  if (!config.gripper) return config;
  const GripperJoint& gripper = *config.gripper;
  if (gripper.joint < 0 || gripper.joint >= limits.num_joints)
    throw ConfigError("gripper.joint", std::to_string(gripper.joint),
                      "must be in 0.." + std::to_string(limits.num_joints - 1));
  const auto j = static_cast<std::size_t>(gripper.joint);
  for (const auto& [name, value] : {std::pair{"gripper.open_position", gripper.open_position},
                                    {"gripper.closed_position", gripper.closed_position}})
    if (!(value >= limits.min_position[j] && value <= limits.max_position[j]))
      throw ConfigError(name, number(value),
                        "must be within the joint's limits [" + number(limits.min_position[j]) + ", " +
                            number(limits.max_position[j]) + "]");
  if (gripper.open_position == gripper.closed_position)
    throw ConfigError("gripper.closed_position", number(gripper.closed_position),
                      "must differ from open_position");
  return config;
}

// Robot joints of the arm, in order.
std::vector<std::size_t> arm_joints(const CartesianConfig& config, const JointLimits& limits) {
  std::vector<std::size_t> joints;
  for (int j = 0; j < limits.num_joints; ++j)
    if (!config.gripper || config.gripper->joint != j) joints.push_back(static_cast<std::size_t>(j));
  return joints;
}

JointLimits limits_of(const JointLimits& all, const std::vector<std::size_t>& joints) {
  JointLimits some;
  some.num_joints = static_cast<std::int32_t>(joints.size());
  for (std::size_t i = 0; i < joints.size(); ++i) {
    some.min_position[i] = all.min_position[joints[i]];
    some.max_position[i] = all.max_position[joints[i]];
    some.max_velocity[i] = all.max_velocity[joints[i]];
    some.max_acceleration[i] = all.max_acceleration[joints[i]];
    some.max_jerk[i] = all.max_jerk[joints[i]];
  }
  return some;
}

double dot(const Quaternion& a, const Quaternion& b) noexcept {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
}

Quaternion nearer(Quaternion q, const Quaternion& reference) noexcept {
  if (dot(q, reference) < 0)
    for (double& x : q) x = -x;
  return q;
}

// The angular velocity of a quaternion (of any length) that changes at a rate: 2 q' q*, less what changes the
// length.
Vector3 angular_velocity(const Quaternion& q, const Quaternion& rate) noexcept {
  const Quaternion product = multiply(rate, {-q[0], -q[1], -q[2], q[3]});
  const double scale = 2 / dot(q, q);
  return {scale * product[0], scale * product[1], scale * product[2]};
}

void write(const Pose& pose, std::span<double> row) noexcept {
  std::ranges::copy(pose.position, row.begin());
  std::ranges::copy(pose.rotation, row.begin() + 3);
}

}  // namespace

void CartesianConfig::validate() const {
  if (action_space != ActionSpaceKind::EndEffectorPose && action_space != ActionSpaceKind::EndEffectorDelta)
    throw ConfigError("action_space", to_string(action_space),
                      "must be end_effector_pose or end_effector_delta");
  const int least = action_space == ActionSpaceKind::EndEffectorPose ? 7 : 6;
  if (dimension() != least && dimension() != least + 1)
    throw ConfigError("action_dim", std::to_string(action_dim),
                      "must be " + std::to_string(least) + ", or " + std::to_string(least + 1) +
                          " with the gripper, for " + to_string(action_space));
  if (gripper && !has_gripper_number())
    throw ConfigError("gripper", "joint " + std::to_string(gripper->joint),
                      "has no number in an action of " + std::to_string(dimension()));
}

ChunkExecutorConfig CartesianActions::executor_config(const CartesianConfig& config,
                                                      const ChunkExecutorConfig& executor) {
  config.validate();
  const int D = config.dimension();
  if (executor.action_dim != 0 && executor.action_dim != D)
    throw ConfigError("action_dim", std::to_string(executor.action_dim),
                      "must be that of the action space, " + std::to_string(D));
  if (executor.on_starvation == StarvationPolicy::Decelerate)
    throw ConfigError("on_starvation", "decelerate",
                      "must be hold for end-effector actions: the joints come to rest within their limits");
  if (executor.mode == ExecutionMode::Rtc && !is_pose(config))
    throw ConfigError("mode", "rtc", "cannot continue end_effector_delta: a plan of poses holds no deltas");
  if (!executor.rotation_dims.empty())
    throw ConfigError("rotation_dims", std::to_string(executor.rotation_dims.size()) + " rotations",
                      "must be empty for end-effector actions: their space says what turns");
  ChunkExecutorConfig plan = executor;
  plan.rotation_dims = {{3, RotationFormat::Quaternion}};
  for (int& d : plan.discrete_dims) {
    if (!config.has_gripper_number() || d != D - 1)
      throw ConfigError("discrete_dims", std::to_string(d),
                        "must be the gripper's alone for end-effector actions");
    d = static_cast<int>(kPose);
  }
  plan.action_dim = static_cast<int>(kPose) + (config.has_gripper_number() ? 1 : 0);
  plan.anchor_rows = is_pose(config) ? 0 : 1;
  plan.limits.reset();
  return plan;
}

struct CartesianActions::Impl {
  Impl(const CartesianConfig& config_in, const JointLimits& limits, double period_s)
      : config(validated(config_in, limits)),
        arm(arm_joints(config, limits)),
        ik(config.kinematics, limits_of(limits, arm), period_s, config.ik),
        records(kRecords) {}

  [[nodiscard]] Pose anchor(TimeNs time);
  [[nodiscard]] std::span<const double> arm_of(std::span<const double> joints,
                                               JointArray& out) const noexcept;
  [[nodiscard]] Pose tool_at(std::span<const double> joints) const noexcept;
  [[nodiscard]] double gripper_number(double position) const noexcept;

  const CartesianConfig config;
  const std::vector<std::size_t> arm;
  std::array<double, kPose + 1> origin{};

  // Ticking thread.
  DifferentialIk ik;
  DifferentialIkReport report;
  TimeNs recorded = 0;
  bool has_record = false;
  Quaternion last_rotation{0, 0, 0, 1};  // whose sign goes on

  SpscRing<Record> records;  // from the ticking thread to the worker

  // Worker.
  Record before, after;  // the records around the last anchor
  bool has_after = false;
  Quaternion last_row{0, 0, 0, 1};
};

std::span<const double> CartesianActions::Impl::arm_of(std::span<const double> joints,
                                                       JointArray& out) const noexcept {
  for (std::size_t i = 0; i < arm.size(); ++i) out[i] = joints[arm[i]];
  return {out.data(), arm.size()};
}

Pose CartesianActions::Impl::tool_at(std::span<const double> joints) const noexcept {
  JointArray q{};
  return to_pose(config.kinematics.forward(arm_of(joints, q)));
}

double CartesianActions::Impl::gripper_number(double position) const noexcept {
  const GripperJoint& g = *config.gripper;
  return std::clamp((position - g.open_position) / (g.closed_position - g.open_position), 0.0, 1.0);
}

// The commanded pose at a time; the nearest known one where it is not known. Times do not go back, but for
// less than a period.
Pose CartesianActions::Impl::anchor(TimeNs time) {
  while (has_after ? after.time <= time : true) {
    if (has_after) before = after;
    has_after = records.pop(after);
    if (!has_after) return before.tool;
  }
  if (time <= before.time) return before.tool;
  const double share =
      static_cast<double>(time - before.time) / static_cast<double>(after.time - before.time);
  Pose pose;
  for (std::size_t k = 0; k < 3; ++k)
    pose.position[k] = before.tool.position[k] + share * (after.tool.position[k] - before.tool.position[k]);
  Vector3 turn = rotation_between(before.tool.rotation, after.tool.rotation);
  for (double& x : turn) x *= share;
  pose.rotation = nearer(multiply(rotation_by(turn), before.tool.rotation), before.tool.rotation);
  return pose;
}

CartesianActions::CartesianActions(const CartesianConfig& config, const JointLimits& limits, double period_s)
    : impl_(std::make_unique<Impl>(config, limits, period_s)) {}
CartesianActions::~CartesianActions() = default;

std::span<const double> CartesianActions::reset(std::span<const double> position) {
  Impl& c = *impl_;
  JointArray q{};
  c.ik.reset(c.arm_of(position, q));
  const Pose tool = c.ik.pose();
  for (Record old; c.records.pop(old);) {
  }
  c.before = {INT64_MIN, tool};
  c.has_after = c.has_record = false;
  c.last_rotation = c.last_row = tool.rotation;
  write(tool, c.origin);
  c.origin[kPose] =
      c.config.gripper ? c.gripper_number(position[static_cast<std::size_t>(c.config.gripper->joint)]) : 0;
  return {c.origin.data(), kPose + (c.config.has_gripper_number() ? 1 : 0)};
}

void CartesianActions::to_plan(const ActionChunk& actions, ActionChunk& plan) {
  Impl& c = *impl_;
  const bool pose = is_pose(c.config), gripper = c.config.has_gripper_number();
  if (actions.action_dim != c.config.dimension())
    throw ConfigError("action_dim", std::to_string(actions.action_dim),
                      "must be that of the action space, " + std::to_string(c.config.dimension()));
  const int most = kMaxHorizon - (pose ? 0 : 1);
  if (actions.horizon < 1 || actions.horizon > most)
    throw ConfigError("horizon", std::to_string(actions.horizon), "must be in 1.." + std::to_string(most));
  for (int t = 0; t < actions.horizon; ++t)
    for (std::size_t d = 0; d < actions.row(t).size(); ++d)
      if (const double x = actions.row(t)[d]; !(std::abs(x) <= kMaxCoordinate))
        throw ConfigError(element(t, d), number(x), "must be finite and at most 1e6 in size");

  const Pose anchor = pose ? Pose{{}, c.last_row} : c.anchor(actions.start_time_ns);
  plan.sequence = actions.sequence;
  plan.start_time_ns = actions.start_time_ns;
  plan.period_ns = actions.period_ns;
  plan.inference_ns = actions.inference_ns;
  plan.resize(actions.horizon + (pose ? 0 : 1), static_cast<int>(kPose) + (gripper ? 1 : 0));
  Pose tool{anchor.position, nearer(anchor.rotation, c.last_row)};
  for (int t = 0; t < plan.horizon; ++t) {
    const std::span<const double> action = actions.row(std::min(t, actions.horizon - 1));
    if (pose) {
      const Quaternion q{action[3], action[4], action[5], action[6]};
      if (const double length = std::sqrt(dot(q, q)); length < kShortest)
        throw ConfigError(element(t, 3), "a quaternion of length " + number(length),
                          "must be at least 0.1 long");
      tool = {{action[0], action[1], action[2]}, nearer(normalized(q), tool.rotation)};
    } else if (t > 0) {
      const std::span<const double> d = actions.row(t - 1);
      const Pose next = moved(tool, {d[0], d[1], d[2]}, {d[3], d[4], d[5]}, c.config.delta_frame);
      tool = {next.position, nearer(next.rotation, tool.rotation)};
    }
    write(tool, plan.row(t));
    if (gripper) plan.row(t)[kPose] = std::clamp(action[pose ? kPose : kDelta], 0.0, 1.0);
    if (t == 0) c.last_row = tool.rotation;
  }
}

Status CartesianActions::apply(std::span<const double> row, std::span<const double> rate,
                               std::span<double> target,
                               std::span<double> velocity) noexcept VLA_RT_NONBLOCKING {
  Impl& c = *impl_;
  const Quaternion q{row[3], row[4], row[5], row[6]};
  const Pose pose{{row[0], row[1], row[2]}, normalized(q)};
  const Twist twist{{rate[0], rate[1], rate[2]}, angular_velocity(q, {rate[3], rate[4], rate[5], rate[6]})};
  const Status status = c.ik.update(pose, twist, c.report);
  for (std::size_t i = 0; i < c.arm.size(); ++i) {
    target[c.arm[i]] = c.ik.position()[i];
    velocity[c.arm[i]] = c.ik.velocity()[i];
  }
  if (c.config.gripper) {
    const GripperJoint& g = *c.config.gripper;
    const auto j = static_cast<std::size_t>(g.joint);
    target[j] = g.open_position + row[kPose] * (g.closed_position - g.open_position);
    velocity[j] = rate[kPose] * (g.closed_position - g.open_position);
  }
  return status;
}

void CartesianActions::follow(std::span<const double> command) noexcept VLA_RT_NONBLOCKING {
  JointArray q{};
  impl_->ik.follow(impl_->arm_of(command, q));
}

void CartesianActions::record(TimeNs now, std::span<const double> command) noexcept VLA_RT_NONBLOCKING {
  Impl& c = *impl_;
  if (is_pose(c.config) || (c.has_record && now - c.recorded < kRecordNs)) return;
  Pose tool = c.tool_at(command);
  tool.rotation = c.last_rotation = nearer(tool.rotation, c.last_rotation);
  c.records.push({now, tool});
  c.recorded = now;
  c.has_record = true;
}

}  // namespace vla_rt
