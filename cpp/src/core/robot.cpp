#include "vla_rt/core/robot.hpp"

namespace vla_rt {

Robot::~Robot() = default;

void Robot::observe(const RobotState& state, Observation& observation) {
  observation.time_ns = state.time_ns;
  observation.set("observation.state", {state.position.data(), static_cast<std::size_t>(state.num_joints)});
}

std::string Robot::failure() const { return {}; }
void Robot::start() {}
void Robot::stop() noexcept {}

}  // namespace vla_rt
