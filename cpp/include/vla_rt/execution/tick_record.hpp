#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/status.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {

/// Signals a TickRecord holds per joint.
enum class Signal : std::uint8_t {
  MeasuredPosition,  ///< [rad] or [m], before the tick
  MeasuredVelocity,  ///< [rad/s]
  CommandPosition,   ///< what the tick emitted
  CommandVelocity,
  CommandAcceleration,  ///< [rad/s^2]
  Target,               ///< the executor's wish, before the limits
};
inline constexpr std::size_t kNumSignals = 6;

/// Everything one tick leaves behind. Fixed capacity; a copy costs only what N joints use.
struct TickRecord {
  TimeNs time_ns = 0;                ///< when the tick was due
  TimeNs wakeup_ns = 0;              ///< how much later it began
  TimeNs compute_ns = 0;             ///< how long it took: read, tick, write
  std::uint64_t tick = 0;            ///< counts ticks from 0
  std::uint64_t chunk_sequence = 0;  ///< the chunk that was followed; 0: none
  std::int32_t num_joints = 0;       ///< N
  Status status = Status::Ok;
  bool follows_plan = false;                               ///< false: it followed the certified stop
  std::array<double, kNumSignals * kMaxActionDim> values;  ///< signal k of joint j at k * N + j

  TickRecord() noexcept : values{} {}
  TickRecord(const TickRecord& other) noexcept { *this = other; }
  TickRecord& operator=(const TickRecord& other) noexcept {
    time_ns = other.time_ns;
    wakeup_ns = other.wakeup_ns;
    compute_ns = other.compute_ns;
    tick = other.tick;
    chunk_sequence = other.chunk_sequence;
    num_joints = other.num_joints;
    status = other.status;
    follows_plan = other.follows_plan;
    std::copy_n(other.values.begin(), kNumSignals * static_cast<std::size_t>(num_joints), values.begin());
    return *this;
  }

  /// The N values of one signal.
  [[nodiscard]] std::span<double> signal(Signal which) noexcept {
    const auto n = static_cast<std::size_t>(num_joints);
    return {values.data() + static_cast<std::size_t>(which) * n, n};
  }
  [[nodiscard]] std::span<const double> signal(Signal which) const noexcept {
    const auto n = static_cast<std::size_t>(num_joints);
    return {values.data() + static_cast<std::size_t>(which) * n, n};
  }
};

}  // namespace vla_rt
