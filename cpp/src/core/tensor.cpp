#include "vla_rt/core/tensor.hpp"

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

std::size_t size_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::Float32:
      return 4;
    case DType::Int64:
      return 8;
    case DType::UInt8:
      return 1;
  }
  return 0;
}

const char* to_string(DType dtype) noexcept {
  switch (dtype) {
    case DType::Float32:
      return "float32";
    case DType::Int64:
      return "int64";
    case DType::UInt8:
      return "uint8";
  }
  return "unknown";
}

DType dtype_from_string(const std::string& text, const std::string& field) {
  for (const DType dtype : {DType::Float32, DType::Int64, DType::UInt8})
    if (text == to_string(dtype)) return dtype;
  throw FormatError(field, text, "must be float32, int64 or uint8");
}

std::int64_t TensorSpec::num_elements() const noexcept {
  std::int64_t n = 1;
  for (const std::int64_t extent : shape) n *= extent;
  return n;
}

}  // namespace vla_rt
