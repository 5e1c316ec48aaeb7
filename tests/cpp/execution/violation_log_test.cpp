#include "vla_rt/execution/violation_log.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "execution/seven_joints.hpp"
#include "instruments/allocation_count.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

struct TemporaryFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("violations_" + std::to_string(getpid()) + ".jsonl");
  ~TemporaryFile() { std::filesystem::remove(path); }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::ifstream file(path);
    std::vector<std::string> found;
    for (std::string line; std::getline(file, line);) found.push_back(line);
    return found;
  }
};

}  // namespace

TEST_CASE("every entry becomes one line, across resets, and the tick allocates nothing for it") {
  const TemporaryFile file;
  ViolationLog log(file.path.string());
  ConstraintEnforcer enforcer(seven_joint_limits(), 1e-3);
  const std::vector<double> start(kJoints, 0.0);
  std::vector<double> target(kJoints, 0.0);
  enforcer.reset(start);
  EnforcerReport report;
  long allocated = 0;
  for (int t = 0; t < 2000; ++t) {
    if (t == 1000) enforcer.reset(start);
    for (std::size_t j = 0; j < kJoints; ++j)
      target[j] =
          t % 11 == static_cast<int>(j) ? std::numeric_limits<double>::quiet_NaN() : std::sin(t * 0.1);
    const long before = allocations();
    enforcer.apply(target, {}, report);
    log.take(enforcer);
    allocated += allocations() - before;
  }
  log.close();
  CHECK(allocated == 0);
  CHECK(enforcer.log_count() > 1000);
  CHECK(log.dropped() == 0);
  CHECK(log.written() == enforcer.log_count());
  const std::vector<std::string> lines = file.lines();
  REQUIRE(static_cast<std::int64_t>(lines.size()) == log.written());
  CHECK(lines[0] == R"({"time_s": 0.001, "joint": 0, "cause": "non_finite", "wanted": null, "given": 0})");
}

TEST_CASE("what is lost is counted, not waited for") {
  const TemporaryFile file;
  ViolationLog log(file.path.string());
  ConstraintEnforcer enforcer(seven_joint_limits(), 1e-3);
  const std::vector<double> start(kJoints, 0.0);
  enforcer.reset(start);
  EnforcerReport report;
  log.take(enforcer);             // what comes from here on counts
  for (int t = 0; t < 1000; ++t)  // never taken in time
    enforcer.apply(std::vector<double>(kJoints, t % 2 == 0 ? 1e9 : -1e9), {}, report), enforcer.stop();
  for (int t = 0; t < 400; ++t)
    enforcer.apply(std::vector<double>(kJoints, t % 2 == 0 ? std::nan("") : 0.1), {}, report);
  log.take(enforcer);
  log.close();
  CHECK(enforcer.log_count() > ConstraintEnforcer::kLogCapacity);
  CHECK(log.written() == ConstraintEnforcer::kLogCapacity);
  CHECK(log.written() + log.dropped() == enforcer.log_count());
  const std::string no_place = file.path.string() + "/none/log";
  CHECK_THROWS_AS(ViolationLog{no_place}, ConfigError);
}
