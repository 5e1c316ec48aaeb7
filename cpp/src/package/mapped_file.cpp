#include "package/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/sanitized_memory.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

/// What the last page holds behind a file.
std::size_t rest_of_page(std::size_t size) {
  constexpr std::size_t kPage = 4096;
  return (kPage - size % kPage) % kPage;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw FormatError(name, "", "cannot be opened");
  struct stat status{};
  const bool plain = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  void* mapped = nullptr;
  if (plain && status.st_size > 0) {
    size_ = static_cast<std::size_t>(status.st_size);
    mapped = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0);
  }
  close(descriptor);
  if (!plain) throw FormatError(name, "", "must be a plain file");
  if (mapped == MAP_FAILED) throw FormatError(name, "", "cannot be mapped");
  data_ = static_cast<const char*>(mapped);
  if (size_ > 0) close_memory(data_ + size_, rest_of_page(size_));
}

MappedFile::~MappedFile() {
  if (size_ == 0) return;
  open_memory(data_ + size_, rest_of_page(size_));
  munmap(const_cast<char*>(data_), size_);
}

}  // namespace vla_rt
