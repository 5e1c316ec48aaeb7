#pragma once
#include "vla_rt/core/api.hpp"
#include "vla_rt/inference/model.hpp"
#include "vla_rt/sampling/sampler.hpp"

namespace vla_rt {

/// A two-stage network as a sampler sees it: every sampler over every backend.
///
/// The model outlives it, has been `prepare`d with the sampler's `stage_times()` and has `encode`d the
/// observation. Real-time: as the model. Thread: one at a time.
class VLA_RT_API ModelDenoiser final : public Denoiser {
 public:
  explicit ModelDenoiser(Model& model) noexcept : model_(model) {}

  void evaluate(std::span<const float> x, int stage, double t, std::span<float> out) override;
  [[nodiscard]] bool has_vjp() const noexcept override { return model_.has_vjp(); }
  void vjp(std::span<const float> x, int stage, double t, std::span<const float> c,
           std::span<float> out) override;

 private:
  Model& model_;
};

}  // namespace vla_rt
