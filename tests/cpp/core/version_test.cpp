#include "vla_rt/core/version.hpp"

#include <doctest/doctest.h>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

TEST_CASE("programs run with libraries of the same interface alone") {
  CHECK(library_version() == kVersion);
  CHECK_NOTHROW(require_compatible_library());
  CHECK(compatible({0, 1, 0}, {0, 1, 7}));
  CHECK(compatible({0, 1, 7}, {0, 1, 0}));
  CHECK_FALSE(compatible({0, 1, 0}, {0, 2, 0}));
  CHECK_FALSE(compatible({0, 1, 0}, {1, 1, 0}));
  CHECK(compatible({1, 2, 3}, {1, 4, 0}));
  CHECK_FALSE(compatible({1, 4, 0}, {1, 2, 3}));
  CHECK_FALSE(compatible({2, 0, 0}, {1, 9, 9}));
  const Version other{kVersion.major, kVersion.minor + 1, 0};
  CHECK_THROWS_WITH_AS(detail::require_compatible_library(other),
                       "libvla_rt = 0.1.0: must fit the program, compiled with 0.2.0", ConfigError);
}
