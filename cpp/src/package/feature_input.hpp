#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "vla_rt/action_space/normalizer.hpp"
#include "vla_rt/core/observation.hpp"
#include "vla_rt/core/tensor.hpp"
#include "vla_rt/package/policy_spec.hpp"

namespace vla_rt {

/// Turns one raw feature of an observation into the tensor that the network takes, in memory of its own.
class FeatureInput {
 public:
  /// With `n_obs_steps` > 1 the first axis of the feature is time.
  FeatureInput(const FeatureSpec& spec, int n_obs_steps);

  /// Throws ConfigError naming the feature (and the index of a bad number).
  void read(const Observation& observation);
  /// The same from the numbers of a float32 state feature, as many as it has. False, changing nothing, when
  /// one is not finite. Real-time: no allocation, does not throw.
  [[nodiscard]] bool read(std::span<const float> values) noexcept;
  [[nodiscard]] TensorView view() const;

 private:
  void convert(const TensorView& raw);
  void convert_image(const TensorView& raw);
  void require_finite() const;
  void normalize();

  FeatureSpec spec_;
  Normalizer normalizer_;
  std::vector<float> floats_;     // float32 features
  std::vector<std::byte> bytes_;  // the others, as they are
  std::size_t frames_ = 1;        // images over time
  std::vector<double> pixels_;    // one value of every channel: normalisers work along the last axis
};

}  // namespace vla_rt
