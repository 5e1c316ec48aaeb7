#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "package/feature_input.hpp"
#include "package/token_loop.hpp"
#include "vla_rt/action_space/normalizer.hpp"
#include "vla_rt/package/policy.hpp"

namespace vla_rt {

/// What a policy is made of; `Policy::sample` and `ChunkSampler` run it.
struct Policy::Impl {
  Impl(PolicySpec spec, std::unique_ptr<Model> model, const std::filesystem::path& folder);

  void run(const Observation& observation, const NoiseSource& source, std::span<const float> noise,
           std::span<const float> step_noise, const Continuation* continuation);
  Guidance& aim(const Continuation& continuation);
  /// The columns of `x` that are the action become `actions`.
  void take_columns() noexcept;
  /// Gives the first rows of `previous` the columns that the network has: those beyond the action aim at
  /// zero, which is what such a network is trained to answer there.
  void widen(std::size_t rows) noexcept;

  const PolicySpec spec;
  std::unique_ptr<Model> model;
  const std::string backend;
  std::unique_ptr<const Sampler> sampler;  // null for a token policy
  std::unique_ptr<TokenLoop> tokens;       // of a token policy
  Normalizer action_normalizer;
  std::size_t columns, generated;  // D, and what the network has
  std::size_t size;                // T * generated
  std::vector<FeatureInput> features;
  std::vector<TensorView> views;
  std::vector<float> x, scratch;
  std::vector<double> actions, previous;
  std::optional<Guidance> guidance;  // made with the first continuation
  std::mutex mutex;
  bool in_pieces = false;  // a ChunkSampler has it
};

}  // namespace vla_rt
