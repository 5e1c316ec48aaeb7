#include "vla_rt/sampling/guidance.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "instruments/allocation_count.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/sampling/consistency_sampler.hpp"
#include "vla_rt/sampling/ddim_sampler.hpp"
#include "vla_rt/sampling/dpm_solver_sampler.hpp"
#include "vla_rt/sampling/flow_matching_sampler.hpp"

using namespace vla_rt;

// The values are judged against the published formula from Python (tests/test_guidance.py).
namespace {

constexpr int kT = 16, kD = 7;

struct Sine : Denoiser {
  void evaluate(std::span<const float> x, int /*stage*/, double /*t*/, std::span<float> out) override {
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = std::sin(x[i]);
  }
};

struct SineWithVjp : Sine {
  [[nodiscard]] bool has_vjp() const noexcept override { return true; }
  void vjp(std::span<const float> x, int /*stage*/, double /*t*/, std::span<const float> c,
           std::span<float> out) override {
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = c[i] * std::cos(x[i]);
  }
};

std::vector<float> guided(const Sampler& sampler, Denoiser& denoiser, Guidance& guidance) {
  std::vector<float> x(guidance.size()), scratch(sampler.scratch_size(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
  sampler.sample(denoiser, x, 0, {}, scratch, &guidance);
  return x;
}

ChunkPrefix prefix_of(const std::vector<double>& values, int rows, int delay, int end) {
  return {values, 1, rows, delay, end};
}

}  // namespace

TEST_CASE("guided sampling allocates nothing") {
  const std::vector<double> previous(kT * kD, 0.25), shorter((kT - 3) * kD, 0.5);
  for (const GuidanceJacobian jacobian :
       {GuidanceJacobian::Identity, GuidanceJacobian::Vjp, GuidanceJacobian::FiniteDifferences}) {
    Guidance guidance({5, PrefixSchedule::Exp, jacobian});
    guidance.aim(prefix_of(previous, kT, 2, 12), 1, kT, kD);
    std::vector<std::unique_ptr<const Sampler>> samplers;
    for (const OdeSolver solver : {OdeSolver::Euler, OdeSolver::Rk4})
      samplers.push_back(std::make_unique<FlowMatchingSampler>(FlowMatchingOptions{3, solver, 0}));
    if (jacobian == GuidanceJacobian::Identity) {
      samplers.push_back(std::make_unique<DDIMSampler>(DDIMOptions{}));
      samplers.push_back(std::make_unique<DPMSolverSampler>(DPMSolverOptions{}));
    }
    for (const auto& sampler : samplers) {
      SineWithVjp denoiser;
      std::vector<float> x(guidance.size(), 0.5F), scratch(sampler->scratch_size(x.size()));
      const long before = allocations();
      guidance.aim(prefix_of(shorter, kT - 3, 3, 10), 1, kT, kD);
      sampler->sample(denoiser, x, 0, {}, scratch, &guidance);
      CHECK(allocations() == before);
    }
  }
}

TEST_CASE("differences of the network agree with its product") {
  const std::vector<double> previous(kT * kD, -0.5);
  Guidance exact({5, PrefixSchedule::Linear, GuidanceJacobian::Vjp});
  Guidance differences({5, PrefixSchedule::Linear, GuidanceJacobian::FiniteDifferences});
  Guidance plain({5, PrefixSchedule::Linear, GuidanceJacobian::Identity});
  for (Guidance* guidance : {&exact, &differences, &plain})
    guidance->aim(prefix_of(previous, kT, 2, 12), 1, kT, kD);
  const FlowMatchingSampler sampler({5, OdeSolver::Heun, 1});
  SineWithVjp with;
  Sine without;
  const auto a = guided(sampler, with, exact), b = guided(sampler, without, differences),
             c = guided(sampler, with, plain);
  double worst = 0, apart = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::fabs(static_cast<double>(a[i] - b[i])));
    apart = std::max(apart, std::fabs(static_cast<double>(a[i] - c[i])));
  }
  CHECK(worst < 1e-3);
  CHECK(apart > 0.05);  // so that the agreement says something
}

TEST_CASE("weight 0 is no guidance, to the bit") {
  const std::vector<double> previous(kT * kD, 9);
  Guidance guidance;
  guidance.aim(prefix_of(previous, kT, 0, 0), 1, kT, kD);
  Sine denoiser;
  const FlowMatchingSampler flow;
  const DDIMSampler ddim{DDIMOptions{}};
  for (const Sampler* sampler : {static_cast<const Sampler*>(&flow), static_cast<const Sampler*>(&ddim)}) {
    std::vector<float> x(guidance.size()), scratch(sampler->scratch_size(x.size()));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
    sampler->sample(denoiser, x, 0, {}, scratch);
    CHECK(guided(*sampler, denoiser, guidance) == x);
  }
}

TEST_CASE("rows are held, shared by the batch, and begin after those that are skipped") {
  Guidance guidance({5, PrefixSchedule::Ones, GuidanceJacobian::Identity});
  const std::vector<double> previous{1, 2, 3, 4};  // two rows of two
  guidance.aim({previous, 1, 2, 1, 3}, 2, 5, 2, 1);
  CHECK(guidance.size() == 20);
  for (std::size_t b : {0, 1}) {
    const auto at = [&](std::size_t t, std::size_t d) { return (b * 5 + t) * 2 + d; };
    CHECK(guidance.weight(at(0, 0)) == 0);
    CHECK(guidance.target(at(1, 0)) == 1);
    CHECK(guidance.target(at(2, 1)) == 4);
    CHECK(guidance.target(at(4, 0)) == 3);
    for (std::size_t t : {1, 2, 3}) CHECK(guidance.weight(at(t, 1)) == 1);
    CHECK(guidance.weight(at(4, 1)) == 0);
  }
}

TEST_CASE("a refused aim changes nothing") {
  const std::vector<double> good(4, 1.0);
  std::vector<double> bad = good;
  bad[2] = std::numeric_limits<double>::quiet_NaN();
  Guidance guidance;
  guidance.aim(prefix_of(good, 2, 1, 2), 1, 3, 2);
  CHECK_THROWS_AS(guidance.aim(prefix_of(bad, 2, 1, 2), 1, 3, 2), ConfigError);
  CHECK_THROWS_AS(guidance.aim(prefix_of(good, 2, 4, 2), 1, 3, 2), ConfigError);
  CHECK_THROWS_AS(guidance.aim(prefix_of(good, 2, -1, 2), 1, 3, 2), ConfigError);
  CHECK_THROWS_AS(guidance.aim(prefix_of(good, 2, 1, -2), 1, 3, 2), ConfigError);
  CHECK_THROWS_AS(guidance.aim(prefix_of(good, 3, 1, 2), 1, 3, 2), ConfigError);
  CHECK_THROWS_AS(guidance.aim(prefix_of(good, 0, 1, 2), 1, 3, 2), ConfigError);
  CHECK(guidance.size() == 6);
  CHECK(guidance.target(2) == 1);
  CHECK_THROWS_AS(Guidance({std::nan(""), PrefixSchedule::Exp, GuidanceJacobian::Identity}), ConfigError);
}

TEST_CASE("what was not aimed at this size, or is not offered, is refused") {
  Sine denoiser;
  Guidance guidance;
  std::vector<float> x(6), scratch(60);
  const FlowMatchingSampler flow;
  CHECK_THROWS_AS(flow.sample(denoiser, x, 0, {}, scratch, &guidance), ConfigError);
  const std::vector<double> previous(6, 1.0);
  guidance.aim(prefix_of(previous, 3, 1, 2), 1, 3, 2);
  flow.sample(denoiser, x, 0, {}, scratch, &guidance);
  CHECK_THROWS_AS(ConsistencySampler().sample(denoiser, x, 0, {}, scratch, &guidance), ConfigError);
  Guidance exact({5, PrefixSchedule::Exp, GuidanceJacobian::Vjp});
  exact.aim(prefix_of(previous, 3, 1, 2), 1, 3, 2);
  CHECK_THROWS_AS(flow.sample(denoiser, x, 0, {}, scratch, &exact), ConfigError);
}
