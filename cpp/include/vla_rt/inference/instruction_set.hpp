#pragma once
#include <cstdint>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Instructions that the native engine's kernels are built for, the plainest first.
enum class InstructionSet : std::uint8_t { Portable, Avx2, Avx512 };

/// "portable", "avx2" (AVX2 and FMA), "avx512" (AVX-512 F, VL, BW and DQ).
[[nodiscard]] VLA_RT_API const char* to_string(InstructionSet set) noexcept;

/// The best one that this processor, its operating system and this library have.
[[nodiscard]] VLA_RT_API InstructionSet best_instruction_set() noexcept;

/// The one that a network opened now would use: the best one, or a plainer one that the environment variable
/// VLA_RT_INSTRUCTION_SET names ("portable", "avx2", "avx512"). Throws ConfigError for another word or for
/// instructions that are not there.
[[nodiscard]] VLA_RT_API InstructionSet instruction_set();

}  // namespace vla_rt
