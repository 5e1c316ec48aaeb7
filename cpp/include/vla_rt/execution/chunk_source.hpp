#pragma once
#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/claim.hpp"
#include "vla_rt/core/observation.hpp"

namespace vla_rt {

/// Whatever turns an observation into a chunk: a policy package, a Python callable, a remote server.
/// Thread: that of the one inference worker that claims it. Real-time: no; may allocate, block and throw.
class VLA_RT_API ChunkSource : public Exclusive {
 public:
  virtual ~ChunkSource();
  /// Fills horizon, action_dim, period_ns and the rows (raw, un-normalised). The worker fills the rest.
  virtual void infer(const Observation& observation, ActionChunk& chunk) = 0;
};

}  // namespace vla_rt
