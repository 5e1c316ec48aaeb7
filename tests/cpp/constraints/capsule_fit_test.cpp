#include "constraints/capsule_fit.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <string>
#include <vector>

#include "constraints/mesh_file.hpp"
#include "constraints/random_arm.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;
using namespace vla_rt::constraints;
using namespace vla_rt::adversary;

namespace {

double beyond(const FittedCapsule& c, const Vector3& p) {
  return norm(minus(p, point_on(c.axis, nearest_on(c.axis, p)))) - c.radius;
}

double volume(const FittedCapsule& c) {
  return std::numbers::pi * c.radius * c.radius *
         (norm(minus(c.axis.end, c.axis.start)) + 4.0 / 3.0 * c.radius);
}

}  // namespace

TEST_CASE("a fitted capsule holds every point, and is not much larger than the one they came from") {
  Rng rng(61);
  for (int trial = 0; trial < 40; ++trial) {
    const FittedCapsule made{.axis = {random_point(rng, 1), random_point(rng, 1)},
                             .radius = rng.log_uniform(0.01, 0.5)};
    std::vector<Vector3> points;
    for (int k = 0; k < 2000; ++k) {  // on its surface
      Vector3 n = random_point(rng, 1);
      while (norm(n) < 0.1) n = random_point(rng, 1);
      const Vector3 out = along({}, made.radius / norm(n), n);
      const Vector3 d = minus(made.axis.end, made.axis.start);
      const double side = dot(out, d);
      const double at = rng.one_in(4) ? (side < 0 ? 0 : 1) : rng.unit();
      const Vector3 p = along(along(made.axis.start, at, d), 1, out);
      if (std::fabs(beyond(made, p)) < 1e-9) points.push_back(p);
    }
    REQUIRE(points.size() > 100);
    const FittedCapsule found = fit_capsule(points);
    for (const Vector3& p : points) REQUIRE(beyond(found, p) <= 1e-12);
    REQUIRE(volume(found) < 1.1 * volume(made));
  }
}

TEST_CASE("points on a plane, on a line and alone have capsules, too") {
  Rng rng(62);
  for (int trial = 0; trial < 60; ++trial) {
    const Vector3 a = random_point(rng, 1), b = random_point(rng, 1);
    std::vector<Vector3> points;
    for (int k = 0; k < 1 + 50 * (trial % 3); ++k)
      points.push_back(trial % 2 == 0 ? along(a, rng.unit(), b)
                                      : along(along({}, rng.unit(), a), rng.unit(), b));
    const FittedCapsule found = fit_capsule(points);
    REQUIRE(std::isfinite(found.radius));
    for (const Vector3& p : points) REQUIRE(beyond(found, p) <= 1e-9);
  }
}

TEST_CASE("an STL file that is cut or broken is refused by name") {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("stl_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder / "pkg");
  const std::string file = (folder / "pkg" / "a.stl").string();
  const auto write = [&](const std::string& text) { std::ofstream(file, std::ios::binary) << text; };
  write("solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1e-1 0\n");
  CHECK(read_stl(file).size() == 3);
  CHECK(find_mesh("package://pkg/a.stl", (folder / "urdf" / "r.urdf").string()) == file);
  CHECK(find_mesh("pkg/a.stl", (folder / "r.urdf").string()) == file);
  CHECK(find_mesh(file, "elsewhere.urdf") == file);
  CHECK(find_mesh("package://pkg/b.stl", (folder / "r.urdf").string()).empty());
  for (const std::string& bad :
       {std::string(), std::string("solid\nvertex 1 2\nfacet"), std::string("hello"),
        std::string("solid\nvertex 1 2 nan"), std::string(83, 'x') + std::string(60, '\1'),
        std::string("solid nothing")}) {
    write(bad);
    CHECK_THROWS_AS(read_stl(file), FormatError);
  }
  CHECK_THROWS_AS(read_stl((folder / "none.stl").string()), FormatError);
  std::filesystem::remove_all(folder);
}
