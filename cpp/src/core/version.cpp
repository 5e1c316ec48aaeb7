#include "vla_rt/core/version.hpp"

#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

std::string text(const Version& v) {
  return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
}

}  // namespace

Version library_version() noexcept { return kVersion; }

void detail::require_compatible_library(const Version& headers) {
  if (!compatible(headers, kVersion))
    throw ConfigError("libvla_rt", text(kVersion), "must fit the program, compiled with " + text(headers));
}

}  // namespace vla_rt
