#include "vla_rt/sampling/diffusion_sampler.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <memory>
#include <thread>
#include <vector>

#include "instruments/allocation_count.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/sampling/autoregressive_sampler.hpp"
#include "vla_rt/sampling/consistency_sampler.hpp"
#include "vla_rt/sampling/ddim_sampler.hpp"
#include "vla_rt/sampling/ddpm_sampler.hpp"
#include "vla_rt/sampling/dpm_solver_sampler.hpp"

using namespace vla_rt;

// The values are judged against diffusers from Python (tests/test_diffusion_samplers.py).
namespace {

struct Tanh : Denoiser {
  void evaluate(std::span<const float> x, int stage, double t, std::span<float> out) override {
    CHECK(stage == calls++);
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = std::tanh(x[i] + static_cast<float>(t) * 1e-3F);
  }
  int calls = 0;
};

std::vector<std::unique_ptr<const Sampler>> stochastic_samplers() {
  DDIMOptions ddim;
  ddim.eta = 1;
  DPMSolverOptions dpm;
  dpm.algorithm_type = DPMAlgorithm::SDEDPMSolverPlusPlus;
  dpm.solver_order = 3;
  ConsistencyOptions consistency;
  consistency.num_steps = 10;
  std::vector<std::unique_ptr<const Sampler>> samplers;
  samplers.push_back(std::make_unique<DDPMSampler>(DiffusionOptions{}));
  samplers.push_back(std::make_unique<DDIMSampler>(ddim));
  samplers.push_back(std::make_unique<DPMSolverSampler>(dpm));
  samplers.push_back(std::make_unique<ConsistencySampler>(consistency));
  return samplers;
}

struct Uniform : TokenModel {
  std::span<const float> next_logits(std::span<const std::int64_t> tokens, int batch, int length) override {
    CHECK(tokens.size() == static_cast<std::size_t>(batch * length));
    return {logits.data(), logits.size()};
  }
  std::vector<float> logits = std::vector<float>(2 * 256, 0.5F);
};

}  // namespace

TEST_CASE("sampling allocates nothing, with own noise too") {
  for (const auto& sampler : stochastic_samplers()) {
    Tanh denoiser;
    std::vector<float> x(112, 0.5F), scratch(sampler->scratch_size(112));
    const long before = allocations();
    sampler->sample(denoiser, x, {1, 2}, {}, scratch);
    CHECK(allocations() == before);
    CHECK(denoiser.calls == 10);
  }
}

TEST_CASE("one sampler serves many threads") {
  for (const auto& sampler : stochastic_samplers()) {
    std::array<std::vector<float>, 3> results;
    std::vector<std::thread> threads;
    for (std::vector<float>& x : results)
      threads.emplace_back([&] {
        Tanh denoiser;
        x.assign(30, 0.5F);
        std::vector<float> scratch(sampler->scratch_size(30));
        sampler->sample(denoiser, x, {1, 2}, {}, scratch);
      });
    for (std::thread& thread : threads) thread.join();
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
  }
}

TEST_CASE("dirty scratch memory does not matter") {
  for (const auto& sampler : stochastic_samplers()) {
    Tanh first, second;
    std::vector<float> a(7, 0.5F), b = a, clean(sampler->scratch_size(7)),
                                   dirty(sampler->scratch_size(7), NAN);
    sampler->sample(first, a, 3, {}, clean);
    sampler->sample(second, b, 3, {}, dirty);
    CHECK(a == b);
  }
}

TEST_CASE("tokens are drawn without allocation once the workspace has grown") {
  const AutoregressiveSampler sampler({7, TokenChoice::Sample, 0.7, 40, 0.9, 3});
  Uniform model;
  AutoregressiveSampler::Workspace workspace;
  const int length = sampler.sample(model, 2, {1, 2}, workspace);
  const std::vector<std::int64_t> tokens = workspace.tokens;
  CHECK(tokens.size() == static_cast<std::size_t>(2 * length));
  const long before = allocations();
  CHECK(sampler.sample(model, 2, {1, 2}, workspace) == length);
  CHECK(allocations() == before);
  CHECK(workspace.tokens == tokens);
}

TEST_CASE("an offset that leads past the schedule is refused") {
  DiffusionOptions options;
  options.steps_offset = 100;
  CHECK_THROWS_AS(DDPMSampler{options}, ConfigError);
  options.steps_offset = 99;
  CHECK(DDPMSampler(options).timesteps().front() == 999);
}
