#include "vla_rt/sampling/model_denoiser.hpp"

namespace vla_rt {

void ModelDenoiser::evaluate(std::span<const float> x, int stage, double /*t*/, std::span<float> out) {
  model_.step(x, stage, out);
}

void ModelDenoiser::vjp(std::span<const float> x, int stage, double /*t*/, std::span<const float> c,
                        std::span<float> out) {
  model_.step_vjp(x, stage, c, out);
}

}  // namespace vla_rt
