#pragma once
#include <cstdint>
#include <string>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/claim.hpp"
#include "vla_rt/core/observation.hpp"
#include "vla_rt/core/robot_command.hpp"
#include "vla_rt/core/robot_state.hpp"

namespace vla_rt {

enum class ReadResult : std::uint8_t {
  Fresh,        ///< `state` holds a measurement newer than the last one read
  Unchanged,    ///< nothing newer; `state` holds the last measurement again
  NotReady,     ///< nothing was ever measured; `state` is untouched
  DriverError,  ///< the driver has failed: the controller faults
};

/// The boundary to a robot driver.
///
/// Thread: `read` and `write` are called by the control thread alone, `observe` by the inference thread
/// alone (by the one that runs the loop, where the policy runs inside the tick), `start` and `stop` by the
/// thread that runs the loop, before and after both. A loop claims its
/// robot for the length of a run: two would take turns at the arm.
class VLA_RT_API Robot : public Exclusive {
 public:
  virtual ~Robot();
  [[nodiscard]] virtual int num_joints() const noexcept = 0;

  /// Newest measurement. Real-time: wait-free, no allocation.
  [[nodiscard]] virtual ReadResult read(RobotState& state) noexcept = 0;
  /// Next command. Real-time: wait-free, no allocation.
  virtual void write(const RobotCommand& command) noexcept = 0;

  /// Fills what the policy sees besides the joints: images, goals, instructions. `state` is the newest
  /// measurement the control thread read. The default writes `observation.state` = position [N]. Real-time:
  /// no.
  virtual void observe(const RobotState& state, Observation& observation);

  /// Why the driver failed, once `read` has answered DriverError; empty otherwise. Thread: any. Real-time:
  /// no.
  [[nodiscard]] virtual std::string failure() const;

  /// Opens and closes the connection; may throw, may block.
  virtual void start();
  virtual void stop() noexcept;
};

}  // namespace vla_rt
