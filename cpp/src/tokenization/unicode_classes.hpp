#pragma once
#include <cstdint>

namespace vla_rt {

/// What GPT-2's pattern tells apart: \p{L}, \p{N}, \s, the rest.
enum class CharacterClass : std::uint8_t { Other, Letter, Number, Space };

/// Class of a code point in 0..0xD7FF.
[[nodiscard]] CharacterClass character_class(std::int32_t code_point) noexcept;

}  // namespace vla_rt
