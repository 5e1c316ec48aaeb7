#include "vla_rt/execution/chunk_source.hpp"

namespace vla_rt {

ChunkSource::~ChunkSource() = default;

ObservationWindow ChunkSource::window() const noexcept { return {}; }

void ChunkSource::infer_continuing(const Observation& observation, const ChunkPrefix& /*previous*/,
                                   ActionChunk& chunk) {
  infer(observation, chunk);
}

}  // namespace vla_rt
