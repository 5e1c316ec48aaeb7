#include "vla_rt/inference/backend_registry.hpp"

#include <doctest/doctest.h>

#include <string>

#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

TEST_CASE("an unknown backend is an error that names those that exist") {
  register_backend("always_empty", [](const auto&, const auto&) { return std::unique_ptr<Model>(); });
  try {
    (void)open_model("quantum", "/tmp", {});
    FAIL("no error");
  } catch (const ModelError& e) {
    CHECK(std::string(e.what()).find("backend = quantum") != std::string::npos);
    CHECK(std::string(e.what()).find("always_empty") != std::string::npos);
  }
  CHECK_THROWS_AS((void)open_model("always_empty", "/tmp", {}), ModelError);
  CHECK_THROWS_AS(register_backend("", nullptr), ConfigError);
  CHECK_FALSE(has_backend("quantum"));
}
