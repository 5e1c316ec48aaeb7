#pragma once
#include <cstdint>
#include <span>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// CRC-32 as zlib, PNG and `python -m zlib` have it (polynomial 0xEDB88320, reflected): by carry-less
/// multiplication where the processor has it (Gopal et al. 2009, "Fast CRC computation for generic
/// polynomials using PCLMULQDQ"), else eight bytes a turn from tables (Kounavis and Berry 2005).
class VLA_RT_API Crc32 {
 public:
  void add(std::span<const char> bytes) noexcept;
  [[nodiscard]] std::uint32_t value() const noexcept { return ~crc_; }

 private:
  std::uint32_t crc_ = ~std::uint32_t{0};
};

/// The same, from the tables alone. Exported for the tests.
[[nodiscard]] VLA_RT_API std::uint32_t crc32_by_tables(std::span<const char> bytes) noexcept;

}  // namespace vla_rt
