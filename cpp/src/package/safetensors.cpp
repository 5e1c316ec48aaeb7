#include "package/safetensors.hpp"

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

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file)
    : file_(file), name_(file.filename().string()) {
  if (file_.bytes().size() < 8) throw FormatError(name_, "", "must be a file of at least 8 bytes");
  read_header();
}

void SafetensorsFile::read_header() {
  const char* data = file_.bytes().data();
  const std::size_t size = file_.bytes().size();
  std::uint64_t length = 0;
  std::memcpy(&length, data, sizeof length);
  if (length > size - 8 || length > kMaxHeader)
    throw FormatError(name_, std::to_string(length) + " bytes of header",
                      "must end inside the file and have at most " + std::to_string(kMaxHeader));
  const std::string_view text(data + 8, length);
  const Json json = parse_json(text, name_);
  const char* bytes = data + 8 + length;
  const auto available = static_cast<std::int64_t>(size - 8 - length);
  for (const auto& [name, field] : JsonField(json, name_ + "#").members(kMaxTensors)) {
    if (name == "__metadata__") continue;
    field.require_keys({"dtype", "shape", "data_offsets"});
    const std::string dtype = field.at("dtype").word({"F32", "BF16", "I8"});
    const WeightType type = dtype == "F32"    ? WeightType::Float32
                            : dtype == "BF16" ? WeightType::BFloat16
                                              : WeightType::Int8;
    const std::int64_t width = dtype == "F32" ? 4 : dtype == "BF16" ? 2 : 1;
    const JsonField shape = field.at("shape");
    std::int64_t elements = 1;
    for (const JsonField& extent : shape.elements(0, kMaxRank)) {
      const std::int64_t many = extent.integer(1, kMaxElements);
      if (many > kMaxElements / elements) shape.fail("must have at most 2^40 elements");
      elements *= many;
    }
    const JsonField offsets = field.at("data_offsets");
    const std::vector<JsonField> ends = offsets.elements(2, 2);
    const std::int64_t begin = ends[0].integer(0, available), end = ends[1].integer(begin, available);
    if (end - begin != elements * width)
      offsets.fail("must span the " + std::to_string(elements) + " elements of the shape");
    const char* first = bytes + begin;
    if (reinterpret_cast<std::uintptr_t>(first) % static_cast<std::uintptr_t>(width) != 0)
      offsets.fail("must begin at a multiple of " + std::to_string(width) + " bytes in the file");
    tensors_[name] = {type, first, static_cast<std::size_t>(elements)};
  }
}

}  // namespace vla_rt
