#pragma once
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/execution/chunk_executor.hpp"
#include "vla_rt/execution/flight_recording.hpp"

namespace vla_rt::execution {

// What happens as a recording is run again.
struct FlightEvents {
  std::vector<FlightSeam> seams;
  std::vector<FlightViolation> violations;
};

// Executor and enforcer on recorded inputs, tick by tick.
class FlightRerun {
 public:
  using Chunks = std::vector<std::unique_ptr<FlightChunk>>;

  // `chunks` may grow, and those before `next_chunk() - kRemembered` may become null. `events`, where given,
  // are added to.
  FlightRerun(const FlightSetup& setup, const Chunks& chunks, FlightEvents* events = nullptr);

  static constexpr std::size_t kRemembered = 64;
  [[nodiscard]] std::size_t next_chunk() const noexcept { return next_chunk_; }

  // False once a difference was found. `after`: the enforcer's state after the tick, where there is one.
  bool tick(const FlightTick& tick, const EnforcerSnapshot* after);
  [[nodiscard]] const FlightReplay& result() const noexcept { return result_; }

 private:
  void find_gap(const FlightTick& tick);
  void push_chunks(const FlightTick& tick);
  bool rerun_executor(const FlightTick& tick);
  bool rerun_enforcer(const FlightTick& tick, const EnforcerSnapshot* after);
  void push(const FlightChunk& record);
  void note_seams(const FlightTick& tick);
  void note_violations(const FlightTick& tick);
  [[nodiscard]] TimeNs longest_ns() const noexcept;  // of a chunk
  void doubt_fade(TimeNs from) noexcept;
  void doubt_plan() noexcept;
  void find_takeover(const FlightTick& tick);
  bool same(const FlightTick& tick, FlightSignal signal, std::span<const double> replayed);

  const FlightSetup& setup_;
  const Chunks& chunks_;
  std::size_t n_;
  TimeNs blend_ns_;
  FlightEvents* events_;
  std::optional<ChunkExecutor> executor_;
  std::optional<ConstraintEnforcer> enforcer_;
  bool enforcer_known_;
  bool begun_ = false;
  std::uint64_t next_tick_ = 0, applied_ = 0;  // number of the newest plan
  std::size_t next_chunk_ = 0;
  TimeNs executor_from_ = INT64_MIN;  // plan times before this are not compared
  bool plan_known_ = true;            // false from a missing chunk to the next one
  std::uint64_t last_sequence_ = 0;   // of the chunk that was followed in the tick before; 0: unknown
  TimeNs seams_until_ = INT64_MIN, next_seam_ = INT64_MAX;  // plan times
  std::int64_t violations_ = 0;                             // of the enforcer's log that were noted
  FlightReplay result_;
};

}  // namespace vla_rt::execution
