#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "vla_rt/sampling/autoregressive_sampler.hpp"
#include "vla_rt/sampling/consistency_sampler.hpp"
#include "vla_rt/sampling/ddpm_sampler.hpp"
#include "vla_rt/sampling/direct_sampler.hpp"
#include "vla_rt/sampling/dpm_solver_sampler.hpp"
#include "vla_rt/sampling/flow_matching_sampler.hpp"

using namespace vla_rt;

namespace {

struct Network : Denoiser {
  void evaluate(std::span<const float> x, int /*stage*/, double t, std::span<float> out) override {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = std::abs(std::tanh(x[i % x.size()]) + static_cast<float>(t) * 1e-3F);
  }
};

struct Language : TokenModel {
  std::span<const float> next_logits(std::span<const std::int64_t> tokens, int /*batch*/,
                                     int length) override {
    for (std::size_t i = 0; i < logits.size(); ++i)
      logits[i] = std::sin(static_cast<float>(i) + static_cast<float>(length) +
                           (tokens.empty() ? 0.0F : static_cast<float>(tokens.back())));
    return logits;
  }
  std::array<float, 16> logits{};
};

/// Whatever `work` answers for chunks 0..n-1 of a shared object: the same alone and from two threads at once.
template <class Work>
void check_shared(const Work& work) {
  const auto run = [&work] {
    std::vector<decltype(work(std::uint64_t{}))> answers;
    for (std::uint64_t chunk = 0; chunk < 40; ++chunk) answers.push_back(work(chunk));
    return answers;
  };
  const auto expected = run();
  std::array<decltype(run()), 2> found;
  std::array<std::thread, 2> threads;
  for (std::size_t i = 0; i < 2; ++i) threads[i] = std::thread([&, i] { found[i] = run(); });
  for (std::thread& thread : threads) thread.join();
  CHECK(found[0] == expected);
  CHECK(found[1] == expected);
}

}  // namespace

TEST_CASE("one sampler serves two threads at once, bit for bit") {
  DiffusionOptions diffusion;
  DPMSolverOptions sde;
  sde.algorithm_type = DPMAlgorithm::SDEDPMSolverPlusPlus;
  std::vector<std::unique_ptr<const Sampler>> samplers;
  samplers.push_back(std::make_unique<FlowMatchingSampler>());
  samplers.push_back(std::make_unique<DDPMSampler>(diffusion));
  samplers.push_back(std::make_unique<DPMSolverSampler>(sde));
  samplers.push_back(std::make_unique<ConsistencySampler>(ConsistencyOptions{.num_steps = 3}));
  samplers.push_back(std::make_unique<DirectSampler>(
      DirectOptions{.head = DirectHead::Normal, .mode = DirectChoice::Sample, .num_components = 1}));
  for (const auto& sampler : samplers)
    check_shared([&](std::uint64_t chunk) {
      Network network;
      std::vector<float> x(112), scratch(sampler->scratch_size(x.size()));
      fill_noise({3, chunk}, 0, x);
      sampler->sample(network, x, {3, chunk}, {}, scratch);
      return x;
    });
}

TEST_CASE("one sampler of tokens serves two threads at once") {
  const AutoregressiveSampler sampler(
      {.num_tokens = 7, .mode = TokenChoice::Sample, .top_k = 5, .top_p = 0.9});
  check_shared([&](std::uint64_t chunk) {
    Language language;
    AutoregressiveSampler::Workspace workspace;
    (void)sampler.sample(language, 2, {3, chunk}, workspace);
    return workspace.tokens;
  });
}
