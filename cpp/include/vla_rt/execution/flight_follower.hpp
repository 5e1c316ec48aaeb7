#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/execution/flight_recording.hpp"

namespace vla_rt {

/// A stretch of a run, each list in order of time.
struct FlightPart {
  std::vector<FlightTick> ticks;
  std::vector<const FlightChunk*> chunks;  ///< the follower's, until its next `read`
  std::vector<FlightPicture> pictures;
  std::vector<FlightSeam> seams;            ///< none for actions of the tool
  std::vector<FlightViolation> violations;  ///< none where there are walls or obstacles
};

/// Reads a recording of a FlightRecorder from its beginning on while it grows, through rotations of the file.
///
/// Executor and enforcer are run again on what is read (see FlightRecording::replay), which tells seams and
/// violations. Real-time: no. Thread: one; the recorder knows nothing of it.
class VLA_RT_API FlightFollower {
 public:
  /// Ticks of one part at most.
  static constexpr std::size_t kMaxTicks = 1000;
  /// How old the newest record must be for a tick to be handed out: records of control and inference thread
  /// reach the file by two ways.
  static constexpr TimeNs kSettleNs = 200'000'000;

  explicit FlightFollower(std::string path);
  ~FlightFollower();
  FlightFollower(const FlightFollower&) = delete;
  FlightFollower& operator=(const FlightFollower&) = delete;

  /// The set-up; nullptr until the file is there and holds it.
  [[nodiscard]] const FlightSetup* setup() const noexcept;
  /// What is new since the last call; true when there may be more already. `is_over`: the recorder has been
  /// closed, so that what is there is all there will be.
  /// Throws FormatError naming the field when the file is no recording.
  bool read(FlightPart& part, bool is_over);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
