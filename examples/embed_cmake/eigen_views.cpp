// The runtime's arrays as Eigen objects, without a copy.
#include <cstdio>
#include <utility>
#include <vla_rt/adapters/eigen.hpp>
#include <vla_rt/core/robot_command.hpp>

int main() {
  vla_rt::RobotCommand command{.num_joints = 3};
  vla_rt::eigen::view(command.position, command.num_joints) = Eigen::Vector3d(1, 2, 2);
  vla_rt::ActionChunk chunk;
  chunk.resize(4, 3);
  vla_rt::eigen::view(chunk).setConstant(0.5);
  const Eigen::Isometry3d tool = vla_rt::eigen::to_isometry(vla_rt::Pose{.position = {0, 0, 1}});
  const double norm = vla_rt::eigen::view(std::as_const(command).position, command.num_joints).norm();
  std::printf("norm %g, sum %g, tool at %g m\n", norm, vla_rt::eigen::view(chunk).sum(),
              tool.translation().z());
  return norm == 3 && chunk.row(3)[2] == 0.5 && tool.translation().z() == 1 ? 0 : 1;
}
