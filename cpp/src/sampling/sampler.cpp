#include "vla_rt/sampling/sampler.hpp"

namespace vla_rt {

Denoiser::~Denoiser() = default;
Sampler::~Sampler() = default;

}  // namespace vla_rt
