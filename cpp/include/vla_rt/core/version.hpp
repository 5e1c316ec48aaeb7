#pragma once
#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Version of an interface, as semantic versioning has it: while `major` is 0, every minor version is an
/// interface of its own.
struct Version {
  int major = 0, minor = 0, patch = 0;
  friend constexpr bool operator==(const Version&, const Version&) = default;
};

/// Of these headers. That of policy packages is PolicySpec::kSchemaVersion.
inline constexpr Version kVersion{0, 1, 0};

/// Of the library that is loaded.
[[nodiscard]] VLA_RT_API Version library_version() noexcept;

/// Whether a program compiled with headers of version `headers` may run with a library of version `library`.
[[nodiscard]] constexpr bool compatible(const Version& headers, const Version& library) noexcept {
  if (headers.major != library.major) return false;
  if (headers.major == 0) return headers.minor == library.minor;
  return headers.minor <= library.minor;
}

namespace detail {
VLA_RT_API void require_compatible_library(const Version& headers);
}

/// Once at the start of a program that may find another library than it was linked with. Throws ConfigError
/// naming both versions where they do not fit together.
inline void require_compatible_library() { detail::require_compatible_library(kVersion); }

}  // namespace vla_rt
