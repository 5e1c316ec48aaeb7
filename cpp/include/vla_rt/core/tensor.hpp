#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

enum class DType : std::uint8_t { Float32, Int64, UInt8 };

[[nodiscard]] VLA_RT_API std::size_t size_of(DType dtype) noexcept;
/// "float32", "int64", "uint8".
[[nodiscard]] VLA_RT_API const char* to_string(DType dtype) noexcept;
/// Throws FormatError naming `field` for any other text.
[[nodiscard]] VLA_RT_API DType dtype_from_string(const std::string& text, const std::string& field);

/// Name, element type and shape of a tensor; no data.
struct TensorSpec {
  std::string name;
  DType dtype = DType::Float32;
  std::vector<std::int64_t> shape;

  [[nodiscard]] bool operator==(const TensorSpec&) const = default;
  /// Product of `shape`; 1 for a scalar.
  [[nodiscard]] VLA_RT_API std::int64_t num_elements() const noexcept;
};

/// A dense row-major tensor somebody else owns.
struct TensorView {
  const void* data = nullptr;
  DType dtype = DType::Float32;
  std::span<const std::int64_t> shape;
};

}  // namespace vla_rt
