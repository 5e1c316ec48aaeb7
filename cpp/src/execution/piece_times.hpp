#pragma once
#include <array>
#include <cstddef>

#include "vla_rt/core/time.hpp"
#include "vla_rt/execution/chunk_executor.hpp"
#include "vla_rt/package/chunk_sampler.hpp"

namespace vla_rt::execution {

/// Parts of a chunk that are done in one go.
enum class Piece : std::uint8_t { Encode, Step, HandOver };
constexpr std::array kPieceNames = {"encode", "step", "hand-over"};

struct PieceTimes {
  std::array<TimeNs, kPieceNames.size()> longest{};
  int samples = 0;  ///< chunks measured

  [[nodiscard]] TimeNs of(Piece piece) const noexcept { return longest[static_cast<std::size_t>(piece)]; }
};

/// The longest times of the pieces over many chunks, each with caches as cold as a tick may find them, in
/// processor time of this thread: waiting for others does not count. A `clock` of the caller's replaces it.
[[nodiscard]] PieceTimes measure_pieces(ChunkSampler& sampler, const ChunkExecutorConfig& config,
                                        TimeNs (*clock)() noexcept);

}  // namespace vla_rt::execution
