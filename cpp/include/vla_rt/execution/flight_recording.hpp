#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/execution/flight_record.hpp"

namespace vla_rt {

/// Where a replay first came out otherwise than the recording.
struct FlightDifference {
  std::uint64_t tick = 0;
  TimeNs time_ns = 0;
  FlightSignal signal = FlightSignal::Target;
  int joint = 0;
  double recorded = 0, replayed = 0;
};

/// The plan passed from one chunk to the next.
struct FlightSeam {
  TimeNs time_ns = 0;                ///< of the tick that came to it
  std::uint64_t chunk_sequence = 0;  ///< the chunk that was followed from there on
  Seam seam;                         ///< at its time in the plan
};

/// A wish that could not be granted.
struct FlightViolation {
  TimeNs time_ns = 0;  ///< of the tick
  WishLogEntry wish;
};

/// What a replay came to.
struct FlightReplay {
  std::uint64_t ticks = 0;           ///< in the recording
  std::uint64_t executor_ticks = 0;  ///< whose wish was compared
  std::uint64_t enforcer_ticks = 0;  ///< whose command was compared
  std::uint64_t gaps = 0;            ///< places where ticks are missing
  std::uint64_t missing_ticks = 0, missing_chunks = 0;
  std::vector<std::uint64_t> resumed;  ///< ticks from which on commands are compared again after a gap
  std::optional<FlightDifference> difference;  ///< the first
};

/// A file of a FlightRecorder, read as hostile input: opened up to its last whole record.
class VLA_RT_API FlightRecording {
 public:
  /// Throws ConfigError when the file cannot be read, FormatError naming the field when it is no recording.
  explicit FlightRecording(const std::string& path);
  ~FlightRecording();
  FlightRecording(const FlightRecording&) = delete;
  FlightRecording& operator=(const FlightRecording&) = delete;

  [[nodiscard]] const FlightSetup& setup() const noexcept;
  [[nodiscard]] std::uint64_t num_ticks() const noexcept;
  [[nodiscard]] std::uint64_t num_pictures() const noexcept;
  /// Bytes after the last whole record: the recording was cut or is damaged there.
  [[nodiscard]] std::uint64_t cut_bytes() const noexcept;
  /// In order; false ends it.
  void for_each_tick(const std::function<bool(const FlightTick&)>& visit) const;
  [[nodiscard]] const std::vector<std::unique_ptr<FlightChunk>>& chunks() const noexcept;

  /// Runs executor and enforcer again on the recorded inputs and compares bit by bit; bit-exact for the same
  /// build on the same kind of processor. The executor sees the chunks as they were planned with and the
  /// times it was asked for, the enforcer the recorded wishes. After a gap the commands are compared again
  /// from the next snapshot on, the wishes once no plan reaches back to before it (averaging ones do for
  /// good, when a chunk is missing).
  [[nodiscard]] FlightReplay replay() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
