#pragma once
#include <string>

#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/execution/controller.hpp"
#include "vla_rt/execution/inference_worker.hpp"
#include "vla_rt/rt/realtime_thread.hpp"

namespace vla_rt {

/// Everything a ControlLoop can be told. In Python: the flat dataclass `vla_rt.ControlConfig`.
struct ControlConfig {
  JointLimits limits;                  ///< of the N joints; no default is safe for every robot
  ControllerConfig controller;         ///< tick period, chunk execution, timeouts
  InferenceConfig inference;           ///< when the policy is asked
  RealtimeConfig realtime;             ///< of the control thread; its period is `controller.period_s`
  double first_state_timeout_s = 5.0;  ///< how long to wait for the robot's first measurement
  std::string violation_log;     ///< file for every wish that was not granted, see ViolationLog; empty: none
  std::string record;            ///< file that keeps every tick and chunk, see FlightRecorder; empty: none
  double record_max_mb = 1024;   ///< [MiB] of that file and of the one before it together
  bool record_pictures = false;  ///< keep the pictures that the policy sees in `record` too
  double trace_s = 60.0;         ///< newest part of the run that is kept for plots; 0: none

  /// Throws ConfigError naming field, value and bound. Limits of 0 joints and an executor without period are
  /// taken as not filled in yet.
  VLA_RT_API void validate() const;
};

}  // namespace vla_rt
