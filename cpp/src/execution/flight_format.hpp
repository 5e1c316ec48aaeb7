#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "vla_rt/execution/flight_record.hpp"

// How a recording lies in its file: kFileMagic, then frames {length, type, crc of type and payload, payload},
// the set-up first. Numbers are the machine's own (little-endian), structs without padding written as they
// are.

namespace vla_rt::execution {

static_assert(std::endian::native == std::endian::little, "recordings are little-endian");

inline constexpr std::string_view kFileMagic = "VLARTFR1";

enum class FrameType : std::uint32_t { Setup = 1, Tick = 2, Chunk = 3, Snapshot = 4, Picture = 5 };

struct FrameHead {
  std::uint32_t length = 0;  // of the payload
  FrameType type = FrameType::Setup;
  std::uint32_t crc = 0;
};
inline constexpr std::size_t kMaxPayload = FlightPicture::kMaxBytes + (1u << 20);

/// The payload of the frame that `bytes` begin with, and its head; nothing when it is not whole.
[[nodiscard]] std::optional<std::span<const char>> whole_frame(std::span<const char> bytes,
                                                               FrameHead& head) noexcept;
/// CRC-32 of type and payload.
[[nodiscard]] std::uint32_t frame_crc(FrameType type, std::span<const char> payload) noexcept;

// Appends a frame to `out`.
void append(const FlightSetup& setup, std::vector<char>& out);
void append(const FlightTick& tick, std::vector<char>& out);
void append(const FlightChunk& chunk, std::vector<char>& out);
void append(const FlightSnapshot& snapshot, std::vector<char>& out);
void append(const FlightPicture& picture, std::vector<char>& out);

// Reads a payload. `parse` of the set-up throws FormatError naming the field; the others answer false for
// what no recorder with this set-up writes.
[[nodiscard]] FlightSetup parse_setup(std::span<const char> payload);
[[nodiscard]] bool parse(std::span<const char> payload, const FlightSetup& setup, FlightTick& tick) noexcept;
[[nodiscard]] bool parse(std::span<const char> payload, const FlightSetup& setup, FlightChunk& chunk);
[[nodiscard]] bool parse(std::span<const char> payload, FlightSnapshot& snapshot) noexcept;
[[nodiscard]] bool parse(std::span<const char> payload, FlightPicture& picture);

}  // namespace vla_rt::execution
