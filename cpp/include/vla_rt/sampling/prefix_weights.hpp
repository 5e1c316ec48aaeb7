#pragma once
#include <cstdint>
#include <span>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// How strongly a new chunk is held to the previous one between the rows that are fixed and those that are
/// free.
enum class PrefixSchedule : std::uint8_t {
  Linear,  ///< falls evenly
  Exp,     ///< falls fast at first: w (e^w - 1) / (e - 1) of the linear weight w
  Ones,    ///< full weight to the end of the prefix
  Zeros,   ///< no weight after the fixed rows
};

/// Weights of real-time chunking, one per row of the new chunk: 1 for the first `delay` rows, which are
/// executed while the policy computes; falling by the schedule until `end`, where the overlap with the
/// previous chunk stops; 0 from there on. `end` is clipped to the horizon (the size of `weights`), `delay` to
/// `end`.
///
/// Source: Black, Galliker and Levine 2025, "Real-Time Execution of Action Chunking Flow Policies".
/// Throws ConfigError for an empty span, or a delay or end below 0. Real-time: no (may throw); no allocation.
VLA_RT_API void prefix_weights(int delay, int end, PrefixSchedule schedule, std::span<double> weights);

}  // namespace vla_rt
