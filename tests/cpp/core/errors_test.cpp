#include "vla_rt/core/errors.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "vla_rt/core/status.hpp"

using namespace vla_rt;

TEST_CASE("an error names field, value and bound") {
  const ConfigError error(indexed("max_velocity", 3), number(-1.5), "must be finite and > 0");
  CHECK(std::string(error.what()) == "max_velocity[3] = -1.5: must be finite and > 0");
  CHECK(error.name() == "max_velocity[3]");
  CHECK(error.value() == "-1.5");
  CHECK(error.bound() == "must be finite and > 0");
}

TEST_CASE("numbers read back exactly") {
  for (const double x : {0.1, 1e-300, -2.5, 1.0 / 3.0}) CHECK(std::stod(number(x)) == x);
  CHECK(number(std::numeric_limits<double>::quiet_NaN()) == "nan");
  CHECK(number(-std::numeric_limits<double>::infinity()) == "-inf");
}

TEST_CASE("the worst status wins") {
  CHECK(worst(Status::Ok, Status::Limited) == Status::Limited);
  CHECK(worst(Status::Fault, Status::NonFinite) == Status::Fault);
  CHECK(worst(Status::Stale, Status::Starved) == Status::Stale);
}
