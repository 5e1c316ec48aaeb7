#pragma once
#include <atomic>
#include <functional>

#include "execution/seven_joints.hpp"
#include "vla_rt/execution/chunk_source.hpp"
#include "vla_rt/execution/control_config.hpp"

namespace vla_rt::testing {

/// 16 rows at 20 Hz of a slow sine through the present, on all seven joints. `before` runs first and may
/// misbehave.
class SinePolicy final : public ChunkSource {
 public:
  explicit SinePolicy(std::function<void(int call)> before = {}) : before_(std::move(before)) {}
  void infer(const Observation& observation, ActionChunk& chunk) override {
    if (origin_ == 0) origin_ = observation.time_ns;
    if (before_) before_(calls.load());
    ++calls;
    fill_sine(chunk, observation.time_ns, 16, 0.3, 0.4, origin_);
  }
  std::atomic<int> calls{0};

 private:
  std::function<void(int)> before_;
  TimeNs origin_ = 0;
};

/// 1 kHz, eight of sixteen rows executed, a new chunk ten times a second.
inline ControlConfig loop_config() {
  ControlConfig config;
  config.limits = seven_joint_limits();
  config.controller = controller_config();
  config.controller.executor.mode = ExecutionMode::Async;
  config.inference.rate_hz = 10;
  config.realtime.lock_memory = false;
  return config;
}

}  // namespace vla_rt::testing
