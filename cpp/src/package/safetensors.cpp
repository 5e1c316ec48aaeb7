#include "package/safetensors.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "package/json_field.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::size_t kMaxHeader = 32 << 20, kMaxTensors = 16'384, kMaxRank = 8;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file) : name_(file.filename().string()) {
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw FormatError(name_, "", "cannot be opened");
  struct stat status{};
  const bool plain = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= 8;
  void* mapped = MAP_FAILED;
  if (plain) {
    size_ = static_cast<std::size_t>(status.st_size);
    mapped = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
  }
  close(descriptor);
  if (!plain) throw FormatError(name_, "", "must be a file of at least 8 bytes");
  if (mapped == MAP_FAILED) throw FormatError(name_, "", "cannot be mapped");
  data_ = static_cast<const std::byte*>(mapped);
  try {
    read_header();
  } catch (...) {
    munmap(const_cast<std::byte*>(data_), size_);
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() { munmap(const_cast<std::byte*>(data_), size_); }

void SafetensorsFile::read_header() {
  std::uint64_t length = 0;
  std::memcpy(&length, data_, sizeof length);
  if (length > size_ - 8 || length > kMaxHeader)
    throw FormatError(name_, std::to_string(length) + " bytes of header",
                      "must end inside the file and have at most " + std::to_string(kMaxHeader));
  const std::string_view text(reinterpret_cast<const char*>(data_) + 8, length);
  const Json json = parse_json(text, name_);
  const std::byte* bytes = data_ + 8 + length;
  const auto available = static_cast<std::int64_t>(size_ - 8 - length);
  for (const auto& [name, field] : JsonField(json, name_ + "#").members(kMaxTensors)) {
    if (name == "__metadata__") continue;
    field.require_keys({"dtype", "shape", "data_offsets"});
    const std::string dtype = field.at("dtype").word({"F32", "BF16", "I8"});
    const WeightType type = dtype == "F32"    ? WeightType::Float32
                            : dtype == "BF16" ? WeightType::BFloat16
                                              : WeightType::Int8;
    const std::int64_t size = dtype == "F32" ? 4 : dtype == "BF16" ? 2 : 1;
    const JsonField shape = field.at("shape");
    std::int64_t elements = 1;
    for (const JsonField& extent : shape.elements(0, kMaxRank)) {
      elements *= extent.integer(1, kMaxElements);
      if (elements > kMaxElements) shape.fail("must have at most 2^40 elements");
    }
    const JsonField offsets = field.at("data_offsets");
    const std::vector<JsonField> ends = offsets.elements(2, 2);
    const std::int64_t begin = ends[0].integer(0, available), end = ends[1].integer(begin, available);
    if (end - begin != elements * size)
      offsets.fail("must span the " + std::to_string(elements) + " elements of the shape");
    const std::byte* first = bytes + begin;
    if (reinterpret_cast<std::uintptr_t>(first) % static_cast<std::uintptr_t>(size) != 0)
      offsets.fail("must begin at a multiple of " + std::to_string(size) + " bytes in the file");
    tensors_[name] = {type, first, static_cast<std::size_t>(elements)};
  }
}

}  // namespace vla_rt
