#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace vla_rt {

/// Length (>= 1) of the piece that GPT-2's pattern
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` takes from the front of a
/// text, which must not be empty; code points in 0..0xD7FF.
[[nodiscard]] std::size_t next_piece(std::span<const std::int32_t> text) noexcept;

}  // namespace vla_rt
