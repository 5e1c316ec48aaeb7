#include "vla_rt/execution/shared_memory_robot.hpp"

#include <atomic>
#include <cstddef>

#include "execution/shared_memory_segment.hpp"
#include "execution/stop.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {
namespace {

using execution::SharedMemorySegment;
using Side = SharedMemorySegment::Side;

enum class Failure : std::uint8_t { None, Silent, Babbling, Reported, Closed };

bool same(const JointLimits& a, const JointLimits& b) {
  return a.num_joints == b.num_joints && a.min_position == b.min_position &&
         a.max_position == b.max_position && a.max_velocity == b.max_velocity &&
         a.max_acceleration == b.max_acceleration && a.max_jerk == b.max_jerk;
}

double checked_timeout(double timeout_s) {
  if (!(timeout_s > 0 && timeout_s <= 60))
    throw ConfigError("timeout_s", number(timeout_s), "must be in (0, 60] s");
  return timeout_s;
}

}  // namespace

struct SharedMemoryRobot::Impl {
  const std::string name;
  const TimeNs timeout_ns;
  JointLimits limits;
  SharedMemorySegment segment;
  std::size_t n;
  FeatureBoard features;

  // Control thread.
  RobotState state;
  bool seen = false;
  std::uint64_t session = 0, commands = 0, heartbeat = 0;
  TimeNs heartbeat_ns = 0,
         good_ns = 0;  // when the heartbeat changed, when a state was last taken or rightly unchanged
  bool started = false;

  std::atomic<std::uint64_t> refused{0}, code{0};
  std::atomic<Failure> failure{Failure::None};

  Impl(const std::string& name_in, double timeout_s)
      : name(name_in),
        timeout_ns(from_seconds(checked_timeout(timeout_s))),
        segment(SharedMemorySegment::open(name_in, limits)),
        n(static_cast<std::size_t>(limits.num_joints)) {}

  void refuse() noexcept {
    refused.store(refused.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  // True when a state was taken; `good` also when there was rightly nothing new.
  bool take(bool& good) noexcept {
    vla_rt_shm_state& posted = segment->state;
    for (int tries = 0; tries < VLA_RT_SHM_TRIES; ++tries) {
      const std::uint64_t begun = vla_rt_shm_begin_read(&posted.lock);
      if ((begun & 1) != 0) continue;
      RobotState next;
      next.sequence = vla_rt_shm_load(&posted.sequence);
      next.time_ns = static_cast<TimeNs>(vla_rt_shm_load(&posted.time_ns));
      next.num_joints = limits.num_joints;
      for (std::size_t j = 0; j < n; ++j) {
        next.position[j] = vla_rt_shm_load_double(&posted.position[j]);
        next.velocity[j] = vla_rt_shm_load_double(&posted.velocity[j]);
      }
      if (vla_rt_shm_end_read(&posted.lock, begun) == 0) continue;
      if (next.sequence == (seen ? state.sequence : 0)) {
        good = true;
        return false;
      }
      if (seen && (next.sequence < state.sequence || next.time_ns < state.time_ns)) break;
      state = next;  // a NaN is handed on: the controller refuses it
      return good = seen = true;
    }
    refuse();
    return good = false;
  }

  // A failure stays one until the next start.
  void judge(bool good, TimeNs now) noexcept {
    if (failure.load(std::memory_order_relaxed) != Failure::None) return;
    const std::uint64_t beat = vla_rt_shm_load(&segment->driver_heartbeat);
    if (beat != heartbeat) {
      heartbeat = beat;
      heartbeat_ns = now;
    }
    if (good) good_ns = now;
    const std::uint64_t phase = vla_rt_shm_load(&segment->driver_phase);
    Failure found = Failure::None;
    if (now - heartbeat_ns > timeout_ns) found = Failure::Silent;
    if (now - good_ns > timeout_ns) found = Failure::Babbling;
    if (phase == VLA_RT_SHM_CLOSED) found = Failure::Closed;
    if (phase == VLA_RT_SHM_FAILED) {
      code.store(vla_rt_shm_load(&segment->driver_error), std::memory_order_relaxed);
      found = Failure::Reported;
    }
    if (found != Failure::None) failure.store(found, std::memory_order_release);
  }
};

SharedMemoryRobot::SharedMemoryRobot(const std::string& name, double timeout_s)
    : impl_(std::make_unique<Impl>(name, timeout_s)) {}
SharedMemoryRobot::~SharedMemoryRobot() { SharedMemoryRobot::stop(); }

const JointLimits& SharedMemoryRobot::limits() const noexcept { return impl_->limits; }
FeatureBoard& SharedMemoryRobot::features() noexcept { return impl_->features; }
std::uint64_t SharedMemoryRobot::refused() const noexcept {
  return impl_->refused.load(std::memory_order_relaxed);
}
int SharedMemoryRobot::num_joints() const noexcept { return impl_->limits.num_joints; }

void SharedMemoryRobot::start() {
  Impl& r = *impl_;
  JointLimits limits;
  SharedMemorySegment segment = SharedMemorySegment::open(r.name, limits);
  if (!same(limits, r.limits))
    throw VlaRtError("shared memory " + r.name + ": its joints or limits have changed");
  if (!segment.lock(Side::Controller))
    throw VlaRtError("shared memory " + r.name + ": another controller is using it");
  r.segment = std::move(segment);
  r.seen = false;
  r.commands = 0;
  r.refused.store(0);
  r.failure.store(Failure::None);
  r.heartbeat = vla_rt_shm_load(&r.segment->driver_heartbeat);
  r.heartbeat_ns = r.good_ns = steady_now();
  r.session = (vla_rt_shm_load(&r.segment->controller_session) + 1) | 1;
  r.started = true;
  vla_rt_shm_store(&r.segment->controller_session, r.session);
}

void SharedMemoryRobot::stop() noexcept {
  Impl& r = *impl_;
  if (!r.started) return;
  r.started = false;
  vla_rt_shm_store(&r.segment->controller_session, r.session + 1);
  r.segment.unlock(Side::Controller);
}

ReadResult SharedMemoryRobot::read(RobotState& state) noexcept {
  Impl& r = *impl_;
  const TimeNs now = steady_now();
  bool good = false;
  const bool fresh = r.take(good);
  r.judge(good, now);
  if (r.seen) state = r.state;
  if (r.failure.load(std::memory_order_relaxed) != Failure::None) return ReadResult::DriverError;
  if (!r.seen) return ReadResult::NotReady;
  return fresh ? ReadResult::Fresh : ReadResult::Unchanged;
}

void SharedMemoryRobot::write(const RobotCommand& command) noexcept {
  Impl& r = *impl_;
  vla_rt_shm_beat(&r.segment->controller_heartbeat);
  if (!r.started || command.num_joints != r.limits.num_joints) return;
  vla_rt_shm_command& slot = r.segment->command;
  vla_rt_shm_begin_write(&slot.lock);
  vla_rt_shm_store(&slot.time_ns, static_cast<std::uint64_t>(command.time_ns));
  vla_rt_shm_store(&slot.sequence, ++r.commands);
  vla_rt_shm_store(&slot.session, r.session);
  vla_rt_shm_store(&slot.status, static_cast<std::uint64_t>(command.status));
  for (std::size_t j = 0; j < r.n; ++j) {
    const execution::Stop stop =
        execution::Stop::plan(command.position[j], command.velocity[j], command.acceleration[j], r.limits, j);
    vla_rt_shm_store_double(&slot.position[j], command.position[j]);
    vla_rt_shm_store_double(&slot.velocity[j], command.velocity[j]);
    vla_rt_shm_store_double(&slot.acceleration[j], stop.pieces[0].a);
    vla_rt_shm_store_double(&slot.stop_jerk[j], stop.pieces[0].jerk);
    for (std::size_t k = 0; k < 3; ++k)
      vla_rt_shm_store_double(&slot.stop_duration[k][j], stop.pieces[k].duration);
  }
  vla_rt_shm_end_write(&slot.lock);
}

void SharedMemoryRobot::observe(const RobotState& state, Observation& observation) {
  Robot::observe(state, observation);
  impl_->features.copy_to(observation);
}

std::string SharedMemoryRobot::failure() const {
  switch (impl_->failure.load(std::memory_order_acquire)) {
    case Failure::None:
      return {};
    case Failure::Silent:
      return "the driver's heartbeat stood still for " + number(to_seconds(impl_->timeout_ns)) + " s";
    case Failure::Babbling:
      return "the driver posted nothing usable for " + number(to_seconds(impl_->timeout_ns)) + " s; " +
             std::to_string(refused()) + " states were torn or went back";
    case Failure::Reported:
      return "the driver reported error " + std::to_string(impl_->code.load(std::memory_order_relaxed));
    case Failure::Closed:
      return "the driver has ended";
  }
  return {};
}

}  // namespace vla_rt
