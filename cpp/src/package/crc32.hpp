#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

namespace vla_rt {

using Crc32Tables = std::array<std::array<std::uint32_t, 256>, 8>;
constexpr Crc32Tables make_crc32_tables() {
  Crc32Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
    tables[0][i] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k)
    for (std::size_t i = 0; i < 256; ++i)
      tables[k][i] = tables[k - 1][i] >> 8 ^ tables[0][tables[k - 1][i] & 0xFF];
  return tables;
}
inline constexpr Crc32Tables kCrc32Tables = make_crc32_tables();

/// CRC-32 as zlib, PNG and `python -m zlib` have it (polynomial 0xEDB88320, reflected), eight bytes a turn
/// (Kounavis and Berry 2005).
class Crc32 {
 public:
  void add(std::span<const char> bytes) noexcept {
    const char* p = bytes.data();
    std::size_t n = bytes.size();
    if constexpr (std::endian::native == std::endian::little)
      for (; n >= 8; n -= 8, p += 8) {
        std::uint32_t low = 0, high = 0;
        std::memcpy(&low, p, 4);
        std::memcpy(&high, p + 4, 4);
        low ^= crc_;
        crc_ = kCrc32Tables[7][low & 0xFF] ^ kCrc32Tables[6][low >> 8 & 0xFF] ^
               kCrc32Tables[5][low >> 16 & 0xFF] ^ kCrc32Tables[4][low >> 24] ^ kCrc32Tables[3][high & 0xFF] ^
               kCrc32Tables[2][high >> 8 & 0xFF] ^ kCrc32Tables[1][high >> 16 & 0xFF] ^
               kCrc32Tables[0][high >> 24];
      }
    for (; n > 0; --n, ++p)
      crc_ = crc_ >> 8 ^ kCrc32Tables[0][(crc_ ^ static_cast<unsigned char>(*p)) & 0xFF];
  }
  [[nodiscard]] std::uint32_t value() const noexcept { return ~crc_; }

 private:
  std::uint32_t crc_ = ~std::uint32_t{0};
};

}  // namespace vla_rt
