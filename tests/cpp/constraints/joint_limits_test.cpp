#include "vla_rt/constraints/joint_limits.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

struct Fields {
  std::vector<double> min_position{-1, -2}, max_position{1, 2}, max_velocity{1, 2}, max_acceleration{3, 4},
      max_jerk{50, 60};
  [[nodiscard]] JointLimits make() const {
    return JointLimits::make(min_position, max_position, max_velocity, max_acceleration, max_jerk);
  }
};

std::string message_of(const Fields& fields) {
  try {
    static_cast<void>(fields.make());
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("good limits are taken over field by field") {
  const JointLimits limits = Fields{}.make();
  CHECK(limits.num_joints == 2);
  CHECK(limits.min_position[1] == -2);
  CHECK(limits.max_position[0] == 1);
  CHECK(limits.max_velocity[1] == 2);
  CHECK(limits.max_acceleration[0] == 3);
  CHECK(limits.max_jerk[1] == 60);
}

TEST_CASE("a bad limit is refused with field, index, value and bound") {
  Fields f;
  f.max_velocity[1] = -1;
  CHECK(message_of(f) == "max_velocity[1] = -1: must be finite and > 0");
  f = {};
  f.max_jerk[0] = std::numeric_limits<double>::quiet_NaN();
  CHECK(message_of(f) == "max_jerk[0] = nan: must be finite and > 0");
  f = {};
  f.max_acceleration[0] = 0;
  CHECK(message_of(f) == "max_acceleration[0] = 0: must be finite and > 0");
  f = {};
  f.max_position[1] = -2;
  CHECK(message_of(f) == "max_position[1] = -2: must be above min_position[1] = -2");
  f = {};
  f.min_position[0] = -std::numeric_limits<double>::infinity();
  CHECK(message_of(f).starts_with("min_position[0] = -inf: must be finite"));
  f = {};
  f.max_jerk[0] = 1e300;
  CHECK(message_of(f).starts_with("max_jerk[0] = "));
  f = {};
  f.max_jerk.pop_back();
  CHECK(message_of(f).starts_with("max_jerk = 1 values"));
  f = {};
  f.min_position.clear();
  CHECK(message_of(f).starts_with("num_joints = 0"));
}
