#pragma once
/// The runtime's plain arrays as Eigen objects, for programs that use Eigen (target `vla_rt::eigen`). Header
/// only: nothing of Eigen's crosses into the library, so its version and alignment are the program's own
/// choice. Real-time: all of them are wait-free and allocate nothing.
#include <Eigen/Core>
#include <Eigen/Geometry>
#include <cassert>
#include <span>

#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/kinematics/pose.hpp"

namespace vla_rt::eigen {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The numbers themselves, of N joints or D dims; a view, valid as long as they are.
[[nodiscard]] inline Eigen::Map<const Eigen::VectorXd> view(std::span<const double> values) noexcept {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}
[[nodiscard]] inline Eigen::Map<Eigen::VectorXd> view(std::span<double> values) noexcept {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}
/// The first `num_joints` of an array, as RobotState and RobotCommand hold them.
[[nodiscard]] inline Eigen::Map<const Eigen::VectorXd> view(const JointArray& values,
                                                            int num_joints) noexcept {
  assert(num_joints >= 0 && num_joints <= kMaxActionDim);
  return {values.data(), num_joints};
}
[[nodiscard]] inline Eigen::Map<Eigen::VectorXd> view(JointArray& values, int num_joints) noexcept {
  assert(num_joints >= 0 && num_joints <= kMaxActionDim);
  return {values.data(), num_joints};
}
/// The rows of a chunk, (T, D).
[[nodiscard]] inline Eigen::Map<const RowMajor> view(const ActionChunk& chunk) noexcept {
  return {chunk.values.data(), chunk.horizon, chunk.action_dim};
}
[[nodiscard]] inline Eigen::Map<RowMajor> view(ActionChunk& chunk) noexcept {
  return {chunk.values.data(), chunk.horizon, chunk.action_dim};
}

[[nodiscard]] inline Eigen::Isometry3d to_isometry(const Transform& t) noexcept {
  Eigen::Isometry3d result = Eigen::Isometry3d::Identity();
  result.linear() = Eigen::Map<const Eigen::Matrix<double, 3, 3, Eigen::RowMajor>>(t.rotation.data());
  result.translation() = Eigen::Map<const Eigen::Vector3d>(t.translation.data());
  return result;
}
[[nodiscard]] inline Transform to_transform(const Eigen::Isometry3d& t) noexcept {
  Transform result;
  Eigen::Map<Eigen::Matrix<double, 3, 3, Eigen::RowMajor>>(result.rotation.data()) = t.linear();
  Eigen::Map<Eigen::Vector3d>(result.translation.data()) = t.translation();
  return result;
}
/// Of a pose whose quaternion is x, y, z, w, as Eigen stores its coefficients.
[[nodiscard]] inline Eigen::Quaterniond to_quaternion(const Pose& pose) noexcept {
  return Eigen::Quaterniond(Eigen::Map<const Eigen::Quaterniond>(pose.rotation.data()));
}
[[nodiscard]] inline Eigen::Isometry3d to_isometry(const Pose& pose) noexcept {
  return to_isometry(vla_rt::to_transform(pose));
}

}  // namespace vla_rt::eigen
