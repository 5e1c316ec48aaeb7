#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/robot_state.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {

/// What a driver shall do in this cycle.
enum class DriverAdvice : std::uint8_t {
  Hold,    ///< no run, or no command yet: stay where you are
  Follow,  ///< the newest command
  Late,    ///< the next command is late: on the way to rest, until it comes
  Stop,    ///< the controller is dead or babbling: to rest for good, until another run begins
};
/// "hold", "follow", "late", "stop".
[[nodiscard]] VLA_RT_API const char* to_string(DriverAdvice advice) noexcept;

/// The driver's end of a SharedMemoryRobot, for drivers in C++ and Python; in C the functions of
/// shared_memory.h.
///
/// Thread: one driver thread.
class VLA_RT_API SharedMemoryDriver {
 public:
  /// Makes the segment `name` and its header. A command is late after `late_s` (one and a half periods of the
  /// controller), the controller given up after `timeout_s`. Throws ConfigError for bad limits, a bad name or
  /// 0 < late_s <= timeout_s <= 60 broken, VlaRtError when a living driver has that segment or it cannot be
  /// made. One left over by a dead driver is replaced.
  SharedMemoryDriver(const std::string& name, const JointLimits& limits, double late_s = 0.0015,
                     double timeout_s = 0.05);
  /// Says that the driver has gone, and removes the segment.
  ~SharedMemoryDriver();
  SharedMemoryDriver(const SharedMemoryDriver&) = delete;
  SharedMemoryDriver& operator=(const SharedMemoryDriver&) = delete;

  [[nodiscard]] int num_joints() const noexcept;
  /// Hands over a measurement; `sequence` is counted here. Real-time: wait-free, no allocation.
  void post_state(const RobotState& state) noexcept VLA_RT_NONBLOCKING;
  /// Where to be at `now`; position and velocity (N each) are untouched with Hold. Once per cycle.
  /// Real-time: wait-free, no allocation.
  DriverAdvice follow(TimeNs now, std::span<double> position,
                      std::span<double> velocity) noexcept VLA_RT_NONBLOCKING;
  /// Reports that the driver can go on no longer; `code` is its own. Real-time: wait-free, no allocation.
  void fail(std::uint64_t code) noexcept VLA_RT_NONBLOCKING;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
