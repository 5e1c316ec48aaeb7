#include "vla_rt/execution/chunk_source.hpp"

namespace vla_rt {

ChunkSource::~ChunkSource() = default;

}  // namespace vla_rt
