#include "constraints/mesh_file.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "vla_rt/core/errors.hpp"

namespace vla_rt::constraints {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMostBytes = std::uintmax_t{1} << 28;
constexpr std::size_t kHeader = 84, kTriangle = 50;

static_assert(std::endian::native == std::endian::little, "binary STL is little-endian");

std::string contents(const std::string& path) {
  std::error_code problem;
  const std::uintmax_t size = fs::file_size(path, problem);
  if (problem) throw FormatError("mesh", path, "cannot be read: " + problem.message());
  if (size > kMostBytes) throw FormatError("mesh", path, "must be at most 256 MiB");
  std::ifstream file(path, std::ios::binary);
  std::string bytes(static_cast<std::size_t>(size), '\0');
  if (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
    throw FormatError("mesh", path, "cannot be read");
  return bytes;
}

void add(const std::string& path, const Vector3& p, std::vector<Vector3>& corners) {
  for (const double x : p)
    if (!std::isfinite(x))
      throw FormatError("mesh", path, "vertex " + std::to_string(corners.size()) + " must be finite");
  corners.push_back(p);
}

}  // namespace

std::string find_mesh(const std::string& name, const std::string& description) {
  std::error_code ignored;
  const auto is_file = [&](const fs::path& p) { return fs::is_regular_file(p, ignored); };
  const fs::path folder = fs::absolute(description, ignored).parent_path();
  constexpr std::string_view kPackage = "package://", kFile = "file://";
  if (name.starts_with(kPackage)) {
    const fs::path inside = name.substr(kPackage.size());
    for (fs::path above = folder;; above = above.parent_path()) {
      if (is_file(above / inside)) return (above / inside).string();
      if (above == above.parent_path()) return {};
    }
  }
  const fs::path plain = name.starts_with(kFile) ? name.substr(kFile.size()) : name;
  return is_file(folder / plain) ? (folder / plain).string() : std::string();  // an absolute one stays it
}

std::vector<Vector3> read_stl(const std::string& path) {
  const std::string bytes = contents(path);
  std::vector<Vector3> corners;
  std::uint32_t triangles = 0;
  if (bytes.size() >= kHeader) std::memcpy(&triangles, bytes.data() + 80, sizeof triangles);
  if (bytes.size() >= kHeader && bytes.size() == kHeader + kTriangle * std::size_t{triangles}) {
    for (std::size_t t = 0; t < triangles; ++t)
      for (std::size_t k = 1; k <= 3; ++k) {  // 0 is the normal
        float xyz[3];
        std::memcpy(xyz, bytes.data() + kHeader + kTriangle * t + 12 * k, sizeof xyz);
        add(path, {xyz[0], xyz[1], xyz[2]}, corners);
      }
  } else if (bytes.starts_with("solid")) {
    std::istringstream words(bytes);
    for (std::string word; words >> word;) {
      if (word != "vertex") continue;
      Vector3 p{};
      if (!(words >> p[0] >> p[1] >> p[2]))
        throw FormatError("mesh", path,
                          "vertex " + std::to_string(corners.size()) + " must be three numbers");
      add(path, p, corners);
    }
  } else {
    throw FormatError("mesh", path, "is neither a binary nor a text STL file");
  }
  if (corners.empty()) throw FormatError("mesh", path, "has no triangle");
  std::ranges::sort(corners);  // each is a corner of about six triangles
  corners.erase(std::ranges::unique(corners).begin(), corners.end());
  return corners;
}

}  // namespace vla_rt::constraints
