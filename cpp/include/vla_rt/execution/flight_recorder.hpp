#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "vla_rt/core/api.hpp"
#include "vla_rt/execution/flight_record.hpp"

namespace vla_rt {

/// Keeps every tick and every chunk of a run in a file, from which the run can be replayed; see
/// FlightRecording.
///
/// Ticks, snapshots and chunks are handed over through rings of their own, by the control thread and, where
/// the policy has one, the inference thread; a thread of this object's writes them. A record that finds its
/// ring full, or the disk, is dropped and counted; nobody waits. Each record in the file carries its length
/// and a CRC-32, so that a file cut anywhere opens up to its last whole record. When the file has reached
/// half of `max_bytes` it becomes PATH.1 at the next snapshot, which is asked for (1 MiB later without one),
/// replacing the one before, and a new one begins.
///
/// Thread: ticks and snapshots one thread, chunks and pictures one, the same or another; `close` the owner;
/// the counts any.
class VLA_RT_API FlightRecorder {
 public:
  static constexpr std::uint64_t kDefaultMaxBytes = std::uint64_t{1} << 30;
  /// Ticks between two snapshots.
  static constexpr std::uint64_t kSnapshotTicks = 1000;

  /// Makes (or empties) the file. Throws ConfigError naming path and reason when that fails, or for max_bytes
  /// < 1 MiB. `keeps_pictures`: whether the pictures that the policy sees are to be recorded too.
  FlightRecorder(const std::string& path, const FlightSetup& setup,
                 std::uint64_t max_bytes = kDefaultMaxBytes, bool keeps_pictures = false);
  /// Closes.
  ~FlightRecorder();
  FlightRecorder(const FlightRecorder&) = delete;
  FlightRecorder& operator=(const FlightRecorder&) = delete;

  /// True when it is time for a snapshot of the enforcer after tick number `tick`. Real-time: wait-free, no
  /// allocation.
  [[nodiscard]] bool wants_snapshot(std::uint64_t tick) noexcept VLA_RT_NONBLOCKING;
  /// Before the tick it is of, so that no tick of a new file is without. Real-time: wait-free, no allocation.
  void push(const FlightSnapshot& snapshot) noexcept VLA_RT_NONBLOCKING;
  /// Real-time: wait-free, no allocation.
  void push(const FlightTick& tick) noexcept VLA_RT_NONBLOCKING;
  /// Real-time: wait-free, no allocation.
  void push(const FlightChunk& chunk) noexcept VLA_RT_NONBLOCKING;
  /// Real-time: no (frees the picture whose place it takes).
  void push(const std::shared_ptr<const FlightPicture>& picture) noexcept;
  [[nodiscard]] bool keeps_pictures() const noexcept;

  /// Writes what was handed over and ends the thread. What is pushed afterwards is lost.
  void close() noexcept;

  [[nodiscard]] std::uint64_t written() const noexcept;  ///< records in files
  [[nodiscard]] std::size_t pending() const noexcept;    ///< records in the rings; a snapshot
  [[nodiscard]] std::uint64_t dropped() const noexcept;  ///< records that found ring or disk full

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
