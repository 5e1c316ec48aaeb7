#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/status.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/execution/chunk_executor.hpp"

namespace vla_rt {

/// What a FlightTick holds per joint.
enum class FlightSignal : std::uint8_t {
  MeasuredPosition,  ///< [rad] or [m], before the tick
  MeasuredVelocity,
  Target,          ///< the executor's wish
  TargetVelocity,  ///< and its velocity, as the enforcer was given it
  CommandPosition,
  CommandVelocity,
  CommandAcceleration,
};
inline constexpr std::size_t kNumFlightSignals = 7;

/// The inputs and outputs of one tick. Fixed capacity; a copy costs only what N joints use.
struct FlightTick {
  /// Plain data, as in the file.
  struct Head {
    std::uint64_t tick = 0;  ///< counts from 0; a gap is a record that was dropped
    TimeNs time_ns = 0;      ///< when it was due
    TimeNs wakeup_ns = 0;    ///< how much later it began
    TimeNs compute_ns = 0;   ///< how long it took
    TimeNs state_ns = 0;     ///< when the state was measured
    std::uint64_t state_sequence = 0;
    TimeNs plan_ns = 0;             ///< the time the executor was asked for
    double plan_rate = 1;           ///< plan time per motion time
    std::uint64_t plan_number = 0;  ///< accepted chunks the executor knew of
    std::uint64_t chunk_sequence = 0;
    std::int32_t num_joints = 0;
    Status status = Status::Ok;
    bool follows_plan = false;  ///< false: the certified stop
    std::array<std::uint8_t, 2> reserved{};
  };
  Head head;
  std::array<double, kNumFlightSignals * kMaxActionDim> values;  ///< signal k of joint j at k * N + j

  FlightTick() noexcept : values{} {}
  FlightTick(const FlightTick& other) noexcept : values{} { *this = other; }
  FlightTick& operator=(const FlightTick& other) noexcept {
    head = other.head;
    std::copy_n(other.values.begin(), size(), values.begin());
    return *this;
  }
  [[nodiscard]] std::size_t size() const noexcept {
    return kNumFlightSignals * static_cast<std::size_t>(head.num_joints);
  }
  [[nodiscard]] std::span<double> signal(FlightSignal which) noexcept {
    const auto n = static_cast<std::size_t>(head.num_joints);
    return {values.data() + static_cast<std::size_t>(which) * n, n};
  }
  [[nodiscard]] std::span<const double> signal(FlightSignal which) const noexcept {
    const auto n = static_cast<std::size_t>(head.num_joints);
    return {values.data() + static_cast<std::size_t>(which) * n, n};
  }
};

/// A chunk as the policy handed it over, and what became of it.
struct FlightChunk {
  TimeNs time_ns = 0;  ///< when
  PlanInput planned;   ///< what decided the plan besides the chunk
  PushResult result = PushResult::Accepted;
  ActionChunk chunk;

  FlightChunk() noexcept = default;
  FlightChunk(const FlightChunk& other) noexcept { *this = other; }
  FlightChunk& operator=(const FlightChunk& other) noexcept {
    time_ns = other.time_ns;
    planned = other.planned;
    result = other.result;
    chunk.copy_from(other.chunk);
    return *this;
  }
};

/// A picture as the policy was shown it: (height, width, 3) of 8 bits, row-major.
struct FlightPicture {
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 24;  ///< larger ones are not recorded

  TimeNs time_ns = 0;  ///< of the observation it was part of
  std::string name;    ///< of the feature
  std::int32_t height = 0, width = 0;
  std::vector<std::uint8_t> pixels;
};

/// The enforcer's state after a tick, so that a replay goes on after records that were dropped.
struct FlightSnapshot {
  std::uint64_t tick = 0;
  EnforcerSnapshot enforcer;
};

/// What a run was set up with.
struct FlightSetup {
  double period_s = 0.001;
  JointLimits limits;
  EnforcerOptions enforcer;
  ChunkExecutorConfig executor;
  JointArray start_position{};    ///< of the reset
  bool has_tool_actions = false;  ///< chunks are not the executor's: only the enforcer can be replayed
  bool has_surroundings = false;  ///< walls or obstacles: only the executor can be replayed
  std::uint64_t part = 0;         ///< 0: from the run's first tick on; else an earlier part was rotated out
  TimeNs wall_offset_ns = 0;      ///< what the wall clock was ahead of the steady clock as the run began
};

}  // namespace vla_rt
