#pragma once
#include <functional>
#include <memory>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/robot.hpp"
#include "vla_rt/execution/chunk_source.hpp"
#include "vla_rt/execution/control_config.hpp"
#include "vla_rt/execution/run_report.hpp"

namespace vla_rt {

/// A complete controller: robot in, policy in, `run`. Control tick, inference and recording in threads of
/// their own.
///
/// A run ends when its time is up, at a fault, or when it is asked to; always with the certified stop,
/// followed until the commanded motion is at rest. Thread: `run` one thread at a time; `request_stop` and
/// `stop_inference` any.
class VLA_RT_API ControlLoop {
 public:
  /// Throws ConfigError for a bad configuration, a missing robot or policy, or when robot and limits differ
  /// in joints.
  ControlLoop(std::shared_ptr<Robot> robot, std::shared_ptr<ChunkSource> policy, const ControlConfig& config);
  ~ControlLoop();
  ControlLoop(const ControlLoop&) = delete;
  ControlLoop& operator=(const ControlLoop&) = delete;

  /// Runs for `duration_s` and the final stop. `interrupted` is asked every few milliseconds from this
  /// thread; true ends the run early. Throws ConfigError when `duration_s` is not in (0, 1e6] s or the robot
  /// starts outside the limits, RealtimeError when an enforced privilege is refused, VlaRtError when the
  /// robot gives no first state or a run is in progress. Nothing moves then.
  RunReport run(double duration_s, const std::function<bool()>& interrupted = {});

  /// Ends the run in progress early, with the certified stop. Also from a signal handler.
  void request_stop() noexcept;
  /// Ends the inference of the run in progress: the robot finishes its plan and stops; the watchdog then
  /// faults.
  void stop_inference() noexcept;

  [[nodiscard]] const ControlConfig& config() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
