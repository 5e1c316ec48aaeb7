#pragma once
#include <filesystem>
#include <string>

#include "inference/plan.hpp"
#include "package/mapped_file.hpp"

namespace vla_rt {

/// A file of tensors mapped into memory: `model.safetensors` of a package. Format: 8 bytes, the length n of
/// the header (little-endian); n bytes of JSON {name: {dtype, shape, data_offsets: [begin, end]}}; the
/// tensors' bytes, row-major, at those offsets from the header's end. Read as hostile: every length, offset
/// and shape is checked.
class SafetensorsFile {
 public:
  /// Throws FormatError naming file and field.
  explicit SafetensorsFile(const std::filesystem::path& file);

  /// Tensors of dtype F32, BF16 or I8 by name; valid as long as this object lives.
  [[nodiscard]] const PlanWeights& tensors() const noexcept { return tensors_; }

 private:
  void read_header();

  MappedFile file_;
  std::string name_;
  PlanWeights tensors_;
};

}  // namespace vla_rt
