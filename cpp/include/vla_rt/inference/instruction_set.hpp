#pragma once
#include <cstdint>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Instructions that the native engine's kernels are built for, the plainest first.
enum class InstructionSet : std::uint8_t { Portable, Avx2, Avx512, Avx512Bf16 };

/// "portable", "avx2" (AVX2 and FMA), "avx512" (AVX-512 F, VL, BW and DQ), "avx512_bf16" (with BF16 and
/// VNNI, the dot products of bfloat16 and of bytes).
[[nodiscard]] VLA_RT_API const char* to_string(InstructionSet set) noexcept;

/// The best one that this processor, its operating system and this library have.
[[nodiscard]] VLA_RT_API InstructionSet best_instruction_set() noexcept;

/// The one that a network opened now would use: the best one, or a plainer one that the environment variable
/// VLA_RT_INSTRUCTION_SET names. Throws ConfigError for another word or for
/// instructions that are not there.
[[nodiscard]] VLA_RT_API InstructionSet instruction_set();

}  // namespace vla_rt
