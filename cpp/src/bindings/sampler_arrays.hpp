#pragma once
#include <cmath>
#include <span>
#include <vector>

#include "bindings/arrays.hpp"

namespace vla_rt::bindings {

/// Checked arguments of a sampler's `sample`: noise (B, T, D), step_noise (K, B, T, D) or empty.
struct SamplerArrays {
  SamplerArrays(const ArrayLike& initial, const pybind11::object& added, pybind11::ssize_t steps)
      : noise(row_major<float>(initial, "noise")) {
    require_shape(noise, "noise", {-1, -1, -1});
    if (noise.size() == 0) throw ConfigError("noise", "shape " + shape_text(noise), "must not be empty");
    require_finite(noise, "noise");
    if (added.is_none()) return;
    step_noise = row_major<float>(pybind11::reinterpret_borrow<ArrayLike>(added), "step_noise");
    require_shape(step_noise, "step_noise", {steps, noise.shape(0), noise.shape(1), noise.shape(2)});
    require_finite(step_noise, "step_noise");
  }
  [[nodiscard]] std::vector<pybind11::ssize_t> shape() const {
    return {noise.shape(), noise.shape() + noise.ndim()};
  }

  Array<float> noise, step_noise;
};

/// Throws ModelError naming the first number that is not finite.
inline void require_finite_answer(const Array<float>& answer, const char* name = "denoiser output") {
  const std::span<const float> values = elements(answer);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      throw ModelError(element_name(name, answer, i), number(static_cast<double>(values[i])),
                       "must be finite");
}

}  // namespace vla_rt::bindings
