#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {

/// A chunk of future actions, (T, D) row-major, of fixed capacity: no heap, trivially copyable.
///
/// Row t is the action for `start_time_ns + t * period_ns`.
struct VLA_RT_API ActionChunk {
  std::uint64_t sequence = 0;   ///< counts the chunks of one worker, from 1
  TimeNs start_time_ns = 0;     ///< time of row 0 (the time of the observation it answers)
  TimeNs period_ns = 0;         ///< time between rows
  TimeNs inference_ns = 0;      ///< how long the policy took
  std::int32_t horizon = 0;     ///< T
  std::int32_t action_dim = 0;  ///< D
  std::array<double, static_cast<std::size_t>(kMaxHorizon) * kMaxActionDim> values;  ///< row stride D

  ActionChunk() noexcept {}  // `values` stays uninitialised on purpose: 128 KiB are not worth clearing

  /// Sets T and D. Throws ConfigError unless 1 <= T <= kMaxHorizon and 1 <= D <= kMaxActionDim.
  /// Real-time: no (may throw).
  void resize(int horizon, int action_dim);

  /// Copies the used rows and the header only. Real-time: wait-free, no allocation.
  void copy_from(const ActionChunk& other) noexcept;

  [[nodiscard]] std::span<double> row(int t) noexcept {
    return {values.data() + static_cast<std::size_t>(t) * action_dim, static_cast<std::size_t>(action_dim)};
  }
  [[nodiscard]] std::span<const double> row(int t) const noexcept {
    return {values.data() + static_cast<std::size_t>(t) * action_dim, static_cast<std::size_t>(action_dim)};
  }
  [[nodiscard]] TimeNs time_of_row(int t) const noexcept { return start_time_ns + t * period_ns; }
};

}  // namespace vla_rt
