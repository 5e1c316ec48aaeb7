#include "vla_rt/sampling/flow_matching_sampler.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <vector>

#include "instruments/allocation_count.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

namespace {

struct Field : Denoiser {
  explicit Field(double (*v)(double x, double t)) : v_(v) {}
  void evaluate(std::span<const float> x, int /*stage*/, double t, std::span<float> out) override {
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = static_cast<float>(v_(static_cast<double>(x[i]), t));
    ++calls;
  }
  double (*v_)(double, double);
  int calls = 0;
};

std::vector<float> integrate(const FlowMatchingOptions& options, Denoiser& field, std::vector<float> x) {
  const FlowMatchingSampler sampler(options);
  std::vector<float> scratch(sampler.scratch_size(x.size()));
  sampler.sample(field, x, 0, {}, scratch);
  return x;
}

}  // namespace

TEST_CASE("stages come in order with exact end points") {
  const FlowMatchingSampler rk4({2, OdeSolver::Rk4, 1});
  CHECK(std::vector(rk4.stage_times().begin(), rk4.stage_times().end()) ==
        std::vector{1.0, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0.0});
  CHECK(std::vector(rk4.timesteps().begin(), rk4.timesteps().end()) == std::vector{1.0, 0.5});
  const FlowMatchingSampler heun({10, OdeSolver::Heun, 0});
  CHECK(heun.stage_times().size() == 20);
  CHECK(heun.stage_times().back() == 1.0);
}

TEST_CASE("one step of each solver on dx/dt = x is the Taylor series of e") {
  Field field([](double x, double) { return x; });
  const std::vector<float> start{1, -2};
  const std::array<std::pair<OdeSolver, double>, 4> expected{{{OdeSolver::Euler, 2.0},
                                                              {OdeSolver::Midpoint, 2.5},
                                                              {OdeSolver::Heun, 2.5},
                                                              {OdeSolver::Rk4, 65.0 / 24}}};
  for (const auto& [solver, factor] : expected) {
    CAPTURE(to_string(solver));
    const auto x = integrate({1, solver, 0}, field, start);
    CHECK(static_cast<double>(x[0]) == doctest::Approx(factor).epsilon(1e-7));
    CHECK(static_cast<double>(x[1]) == doctest::Approx(-2 * factor).epsilon(1e-7));
  }
}

TEST_CASE("a constant velocity is integrated exactly in both directions") {
  Field field([](double, double) { return 0.5; });
  for (const OdeSolver solver : {OdeSolver::Euler, OdeSolver::Midpoint, OdeSolver::Heun, OdeSolver::Rk4}) {
    CAPTURE(to_string(solver));
    CHECK(integrate({8, solver, 0}, field, {1})[0] == doctest::Approx(1.5).epsilon(3e-7));
    CHECK(integrate({8, solver, 1}, field, {1})[0] == doctest::Approx(0.5).epsilon(3e-7));
  }
}

TEST_CASE("the error falls with the order of the solver") {
  Field field([](double x, double t) { return x * (0.5 + t); });
  const double exact = std::exp(1.0);
  const std::array<std::pair<OdeSolver, double>, 4> orders{
      {{OdeSolver::Euler, 1}, {OdeSolver::Midpoint, 2}, {OdeSolver::Heun, 2}, {OdeSolver::Rk4, 4}}};
  for (const auto& [solver, order] : orders) {
    CAPTURE(to_string(solver));
    const int coarse = solver == OdeSolver::Rk4 ? 2 : 16;  // a float32 state hides smaller errors
    const auto error = [&, s = solver](int steps) {
      return std::abs(static_cast<double>(integrate({steps, s, 0}, field, {1})[0]) - exact);
    };
    CHECK(std::log2(error(coarse) / error(2 * coarse)) == doctest::Approx(order).epsilon(0.15));
  }
}

TEST_CASE("noise at 1 is the same path run backwards") {
  Field forward([](double x, double t) { return x * t + 0.3; });
  Field backward([](double x, double t) { return -(x * (1 - t) + 0.3); });
  for (const OdeSolver solver : {OdeSolver::Euler, OdeSolver::Midpoint, OdeSolver::Heun, OdeSolver::Rk4})
    CHECK(integrate({7, solver, 0}, forward, {0.4F})[0] ==
          doctest::Approx(integrate({7, solver, 1}, backward, {0.4F})[0]).epsilon(1e-6));
}

TEST_CASE("sampling allocates nothing") {
  Field field([](double x, double) { return -x; });
  const FlowMatchingSampler sampler({10, OdeSolver::Rk4, 0});
  std::vector<float> x(112, 0.5F), scratch(sampler.scratch_size(112));
  const long before = allocations();
  sampler.sample(field, x, 0, {}, scratch);
  CHECK(allocations() == before);
  CHECK(field.calls == 40);
}

TEST_CASE("bad sizes and numbers are refused") {
  Field field([](double x, double) { return x; });
  const FlowMatchingSampler sampler;
  std::vector<float> x(4), scratch(4);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(sampler.sample(field, x, 0, {}, {scratch.data(), 3}), ConfigError);
  CHECK_THROWS_AS(sampler.sample(field, x, 0, std::vector<float>(39), scratch), ConfigError);
  CHECK_NOTHROW(sampler.sample(field, x, 0, std::vector<float>(40), scratch));
  x[2] = nan;
  CHECK_THROWS_AS(sampler.sample(field, x, 0, {}, scratch), ConfigError);
  CHECK(field.calls == 10);
  x[2] = 0;
  Field broken([](double, double t) { return t > 0.45 ? std::nan("") : 1.0; });
  CHECK_THROWS_AS(sampler.sample(broken, x, 0, {}, scratch), ModelError);
  CHECK(broken.calls == 6);
  for (const FlowMatchingOptions& bad :
       {FlowMatchingOptions{0, OdeSolver::Euler, 0}, FlowMatchingOptions{1001, OdeSolver::Euler, 0},
        FlowMatchingOptions{10, OdeSolver::Euler, 2}, FlowMatchingOptions{10, OdeSolver::Euler, -1}})
    CHECK_THROWS_AS(FlowMatchingSampler{bad}, ConfigError);
}
