#include "vla_rt/execution/shared_memory_driver.hpp"

#include "execution/shared_memory_segment.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

using execution::SharedMemorySegment;

TimeNs checked_late(double late_s, double timeout_s) {
  if (!(late_s > 0 && late_s <= timeout_s))
    throw ConfigError("late_s", number(late_s), "must be > 0 and at most timeout_s");
  return from_seconds(late_s);
}
TimeNs checked_timeout(double timeout_s) {
  if (!(timeout_s > 0 && timeout_s <= 60))
    throw ConfigError("timeout_s", number(timeout_s), "must be in (0, 60] s");
  return from_seconds(timeout_s);
}

}  // namespace

const char* to_string(DriverAdvice advice) noexcept {
  switch (advice) {
    case DriverAdvice::Hold:
      return "hold";
    case DriverAdvice::Follow:
      return "follow";
    case DriverAdvice::Late:
      return "late";
    case DriverAdvice::Stop:
      return "stop";
  }
  return "unknown";
}

struct SharedMemoryDriver::Impl {
  const TimeNs timeout_ns, late_ns;
  const int n;
  SharedMemorySegment segment;
  std::uint64_t sequence = 0;
  vla_rt_shm_follower follower{};

  Impl(const std::string& name, const JointLimits& limits, double late_s, double timeout_s)
      : timeout_ns(checked_timeout(timeout_s)),
        late_ns(checked_late(late_s, timeout_s)),
        n(limits.num_joints),
        segment(SharedMemorySegment::make(name, limits)) {}
};

SharedMemoryDriver::SharedMemoryDriver(const std::string& name, const JointLimits& limits, double late_s,
                                       double timeout_s)
    : impl_(std::make_unique<Impl>(name, limits, late_s, timeout_s)) {}

SharedMemoryDriver::~SharedMemoryDriver() {
  if (vla_rt_shm_load(&impl_->segment->driver_phase) == VLA_RT_SHM_RUNNING)
    vla_rt_shm_store(&impl_->segment->driver_phase, VLA_RT_SHM_CLOSED);
  impl_->segment.remove();
}

int SharedMemoryDriver::num_joints() const noexcept { return impl_->n; }

void SharedMemoryDriver::post_state(const RobotState& state) noexcept VLA_RT_NONBLOCKING {
  vla_rt_shm_state& slot = impl_->segment->state;
  vla_rt_shm_beat(&impl_->segment->driver_heartbeat);
  vla_rt_shm_begin_write(&slot.lock);
  vla_rt_shm_store(&slot.time_ns, static_cast<std::uint64_t>(state.time_ns));
  vla_rt_shm_store(&slot.sequence, ++impl_->sequence);
  for (std::size_t j = 0; j < static_cast<std::size_t>(impl_->n); ++j) {
    vla_rt_shm_store_double(&slot.position[j], state.position[j]);
    vla_rt_shm_store_double(&slot.velocity[j], state.velocity[j]);
  }
  vla_rt_shm_end_write(&slot.lock);
}

DriverAdvice SharedMemoryDriver::follow(TimeNs now, std::span<double> position,
                                        std::span<double> velocity) noexcept VLA_RT_NONBLOCKING {
  const auto n = static_cast<std::size_t>(impl_->n);
  if (position.size() < n || velocity.size() < n) return DriverAdvice::Hold;
  return static_cast<DriverAdvice>(vla_rt_shm_follow(&impl_->follower, impl_->segment.get(), impl_->n, now,
                                                     impl_->late_ns, impl_->timeout_ns, position.data(),
                                                     velocity.data()));
}

void SharedMemoryDriver::fail(std::uint64_t code) noexcept VLA_RT_NONBLOCKING {
  vla_rt_shm_store(&impl_->segment->driver_error, code);
  vla_rt_shm_store(&impl_->segment->driver_phase, VLA_RT_SHM_FAILED);
}

}  // namespace vla_rt
