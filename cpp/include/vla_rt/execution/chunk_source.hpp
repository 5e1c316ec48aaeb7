#pragma once
#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/claim.hpp"
#include "vla_rt/core/observation.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/sampling/guidance.hpp"

namespace vla_rt {

/// Which observations a source looks at: the present one alone, or one per period back from it.
struct ObservationWindow {
  int steps = 1;
  TimeNs period_ns = 0;  ///< > 0 where steps > 1
};

/// Whatever turns an observation into a chunk: a policy package, a Python callable, a remote server.
/// Thread: that of the one inference worker that claims it. Real-time: no; may allocate, block and throw.
class VLA_RT_API ChunkSource : public Exclusive {
 public:
  virtual ~ChunkSource();
  /// With more than one step the worker observes in between, and gives every feature time as its first axis,
  /// oldest first. The default looks at the present alone.
  [[nodiscard]] virtual ObservationWindow window() const noexcept;
  /// Fills horizon, action_dim, period_ns and the rows (raw, un-normalised). The worker fills the rest.
  virtual void infer(const Observation& observation, ActionChunk& chunk) = 0;
  /// The same, the chunk continuing `previous` (raw; row 0 is for the observation's time), which is valid
  /// during the call. Asked instead of `infer` in mode Rtc once there is a plan. The default does not
  /// continue: it calls `infer`.
  virtual void infer_continuing(const Observation& observation, const ChunkPrefix& previous,
                                ActionChunk& chunk);
};

}  // namespace vla_rt
