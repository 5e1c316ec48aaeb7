// A program as people wrote it for version 0.1: it must go on compiling, linking and doing the same for as
// long as `find_package(vla_rt 0.1)` finds the library. Change it only together with the version.
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <thread>

#include <vla_rt/constraints/constraint_enforcer.hpp>
#include <vla_rt/constraints/violation_counter.hpp>
#include <vla_rt/core/time.hpp>
#include <vla_rt/core/version.hpp>
#include <vla_rt/execution/control_loop.hpp>
#include <vla_rt/execution/controller.hpp>
#include <vla_rt/execution/flight_recording.hpp>
#include <vla_rt/execution/inference_worker.hpp>
#include <vla_rt/execution/mailbox_robot.hpp>
#include <vla_rt/execution/policy_source.hpp>
#include <vla_rt/execution/shared_memory_driver.hpp>
#include <vla_rt/execution/shared_memory_robot.hpp>
#include <vla_rt/execution/simulated_robot.hpp>
#include <vla_rt/inference/backend_registry.hpp>
#include <vla_rt/package/policy.hpp>
#include <vla_rt/rt/latency_histogram.hpp>
#include <vla_rt/rt/realtime_thread.hpp>
#include <vla_rt/rt/spsc_ring.hpp>
#include <vla_rt/rt/triple_buffer.hpp>

namespace {

class Straight final : public vla_rt::ChunkSource {
 public:
  void infer(const vla_rt::Observation&, vla_rt::ActionChunk& chunk) override {
    chunk.resize(16, 2);
    chunk.period_ns = vla_rt::from_seconds(0.02);
    for (int t = 0; t < 16; ++t) chunk.row(t)[0] = chunk.row(t)[1] = 0.01 * t;
  }
};

class Driver final : public vla_rt::Robot {
 public:
  int num_joints() const noexcept override { return 2; }
  void start() override {}
  void stop() noexcept override {}
  vla_rt::ReadResult read(vla_rt::RobotState& state) noexcept override {
    state.time_ns = vla_rt::steady_now();
    ++state.sequence;
    state.num_joints = 2;
    state.position = command_.position;
    return vla_rt::ReadResult::Fresh;
  }
  void write(const vla_rt::RobotCommand& command) noexcept override { command_ = command; }

 private:
  vla_rt::RobotCommand command_{};
};

}  // namespace

int main(int argc, char** argv) try {
  vla_rt::require_compatible_library();
  const std::array low{-1.0, -1.0}, high{1.0, 1.0}, speed{2.0, 2.0}, acceleration{10.0, 10.0}, jerk{1e3, 1e3};
  const vla_rt::JointLimits limits = vla_rt::JointLimits::make(low, high, speed, acceleration, jerk);

  vla_rt::ConstraintEnforcer enforcer(limits, 0.001);
  vla_rt::ViolationCounter judge(limits, 0.001);
  const std::array start{0.0, 0.0}, target{5.0, -5.0};
  enforcer.reset(start);
  judge.reset(start);
  vla_rt::EnforcerReport report;
  for (int k = 0; k < 3000; ++k) {
    (void)enforcer.apply(target, {}, report);
    judge.add(enforcer.position());
  }
  if (judge.total() != 0 || std::abs(enforcer.position()[0] - 1.0) > 1e-6) return 1;

  vla_rt::ControlConfig config;
  config.limits = limits;
  config.realtime.lock_memory = false;
  config.controller.executor.period_s = 0.02;
  config.controller.executor.mode = vla_rt::ExecutionMode::Async;
  config.record = argc > 2 ? argv[2] : "";
  vla_rt::ControlLoop loop(std::make_shared<Driver>(), std::make_shared<Straight>(), config);
  const vla_rt::RunReport run = loop.run(0.2);
  if (run.limit_violations != 0 || run.fault.reason != vla_rt::FaultReason::None || run.ticks < 50) return 2;
  if (argc > 2 && vla_rt::FlightRecording(argv[2]).replay().difference) return 3;

  if (argc > 1) {
    const std::shared_ptr<vla_rt::Policy> policy = vla_rt::Policy::load(argv[1]);
    if (policy->spec().action_dim != 7) return 4;
  }
  std::printf("%s\n", vla_rt::backend_names().empty() ? "no backends" : "ok");
  return 0;
} catch (const vla_rt::VlaRtError& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 5;
}
