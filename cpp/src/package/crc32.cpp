#include "package/crc32.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vla_rt {
namespace {

constexpr std::uint32_t kPolynomial = 0xEDB88320U;  // bit 31 is the power 0

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;
constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? kPolynomial : 0U);
    tables[0][i] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k)
    for (std::size_t i = 0; i < 256; ++i)
      tables[k][i] = tables[k - 1][i] >> 8 ^ tables[0][tables[k - 1][i] & 0xFF];
  return tables;
}
constexpr Tables kTables = make_tables();

std::uint32_t add_by_tables(std::uint32_t crc, const char* p, std::size_t n) noexcept {
  if constexpr (std::endian::native == std::endian::little)
    for (; n >= 8; n -= 8, p += 8) {
      std::uint32_t low = 0, high = 0;
      std::memcpy(&low, p, 4);
      std::memcpy(&high, p + 4, 4);
      low ^= crc;
      crc = kTables[7][low & 0xFF] ^ kTables[6][low >> 8 & 0xFF] ^ kTables[5][low >> 16 & 0xFF] ^
            kTables[4][low >> 24] ^ kTables[3][high & 0xFF] ^ kTables[2][high >> 8 & 0xFF] ^
            kTables[1][high >> 16 & 0xFF] ^ kTables[0][high >> 24];
    }
  for (; n > 0; --n, ++p) crc = crc >> 8 ^ kTables[0][(crc ^ static_cast<unsigned char>(*p)) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
/// x^n modulo the polynomial, as a carry-less product of reflected numbers wants it.
constexpr long long power_of_x(int n) {
  std::uint32_t value = 0x80000000U;
  for (int i = 0; i < n; ++i) value = value >> 1 ^ ((value & 1) != 0 ? kPolynomial : 0U);
  return static_cast<long long>(value) << 1;
}

/// `a` moved on by as many bits as `k` holds the powers for, plus `b`.
__attribute__((target("pclmul,sse4.1"))) inline __m128i folded(__m128i a, __m128i b, __m128i k) {
  return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(a, k, 0x00), _mm_clmulepi64_si128(a, k, 0x11)), b);
}

/// Of at least 64 bytes: four running remainders, folded into one, whose 16 bytes have the same remainder as
/// all before; returns how many bytes were taken.
__attribute__((target("pclmul,sse4.1"))) std::size_t fold(std::uint32_t& crc, const char* p,
                                                          std::size_t n) noexcept {
  const auto load = [p](std::size_t at) __attribute__((target("pclmul,sse4.1"))) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + at));
  };
  const __m128i by_512 = _mm_set_epi64x(power_of_x(512 - 32), power_of_x(512 + 32));
  const __m128i by_128 = _mm_set_epi64x(power_of_x(128 - 32), power_of_x(128 + 32));
  __m128i x[4] = {load(0), load(16), load(32), load(48)};
  x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128(static_cast<int>(crc)));
  std::size_t at = 64;
  for (; at + 64 <= n; at += 64)
    for (std::size_t i = 0; i < 4; ++i) x[i] = folded(x[i], load(at + 16 * i), by_512);
  __m128i rest = x[0];
  for (std::size_t i = 1; i < 4; ++i) rest = folded(rest, x[i], by_128);
  for (; at + 16 <= n; at += 16) rest = folded(rest, load(at), by_128);
  char bytes[16];
  std::memcpy(bytes, &rest, sizeof bytes);
  crc = add_by_tables(0, bytes, sizeof bytes);
  return at;
}
#endif

}  // namespace

void Crc32::add(std::span<const char> bytes) noexcept {
  std::size_t done = 0;
#if defined(__x86_64__)
  static const bool can_fold = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  if (can_fold && bytes.size() >= 64) done = fold(crc_, bytes.data(), bytes.size());
#endif
  crc_ = add_by_tables(crc_, bytes.data() + done, bytes.size() - done);
}

std::uint32_t crc32_by_tables(std::span<const char> bytes) noexcept {
  return ~add_by_tables(~std::uint32_t{0}, bytes.data(), bytes.size());
}

}  // namespace vla_rt
