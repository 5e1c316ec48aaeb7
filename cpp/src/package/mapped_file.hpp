#pragma once
#include <cstddef>
#include <filesystem>
#include <span>

namespace vla_rt {

/// A file's bytes as memory, all of them there when this is made.
class MappedFile {
 public:
  /// Throws FormatError naming the file when it is none, or cannot be had.
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const char> bytes() const noexcept { return {data_, size_}; }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace vla_rt
