#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "vla_rt/action_space/normalizer_spec.hpp"
#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Maps raw values to the numbers a policy was trained on, and back, exactly as the project that trained it
/// does.
///
/// With lo/hi = min/max, q01/q99 or q10/q90 by mode, x raw, y normalised:
///
/// | convention | mean_std                           | range modes |
/// |------------|------------------------------------|-----------------------------------------------------------------|
/// | LeRobot    | y = (x-mean)/(std+1e-8)            | y = 2(x-lo)/d - 1, d = hi-lo, 1e-8 where that is 0 |
/// |            | x = y*std + mean                   | x = (y+1)/2*d + lo; no clipping | | OpenVLA    | as
/// LeRobot                         | y = clip(2(x-lo)/(hi-lo+1e-8) - 1, -1, 1)                       | | | |
/// x = (y+1)/2*(hi-lo) + lo                                        | | openpi     | y = (x-mean)/(std+1e-6)
/// | y = 2(x-lo)/(hi-lo+1e-6) - 1                                    | |            | x = y*(std+1e-6) + mean
/// | x = (y+1)/2*(hi-lo+1e-6) + lo                                   | | GR00T      | y = (x-mean)/std; std
/// 0: y = x     | y = 2(x-lo)/(hi-lo) - 1, 0 where |hi-lo| <= 1e-8 + 1e-5|lo|     | |            | x = y*std
/// + mean; std 0: x = y     | x = (clip(y, -1, 1)+1)/2*(hi-lo) + lo                           |
///
/// The forward and the inverse differ on purpose where the projects' own do. OpenVLA's range modes also write
/// y = 0 in every dimension whose min equals its max, masked or not (its data pipeline does that after
/// masking; without min and max, lo = hi decides). A mode that a project lacks uses the same formula on the
/// statistics asked for. Dimensions whose mask is 0 are copied.
///
/// Sources: lerobot `normalize_processor.py`, openvla `rlds/utils/data_utils.py` and `modeling_prismatic.py`,
/// openpi `transforms.py`, Isaac-GR00T `gr00t/data/utils.py`.
///
/// Thread: immutable; any number of threads.
class VLA_RT_API Normalizer {
 public:
  /// Identity over any D.
  Normalizer() = default;
  /// Drops the statistics that the mode does not use, then throws ConfigError as `NormalizerSpec::validate`.
  explicit Normalizer(NormalizerSpec spec);

  [[nodiscard]] const NormalizerSpec& spec() const noexcept { return spec_; }
  /// D; 0 = any (identity).
  [[nodiscard]] int dimension() const noexcept { return spec_.dimension(); }

  /// Raw (..., D) to normalised, row-major; `y` may be `x` itself. Computed in double, rounded once.
  /// Throws ConfigError naming "x[i]" when a value is not finite, or when the sizes differ or are no multiple
  /// of D; `y` is untouched then. Real-time: no allocation, but may throw.
  void normalize(std::span<const double> x, std::span<double> y) const;
  void normalize(std::span<const float> x, std::span<float> y) const;

  /// Normalised (..., D) to raw; otherwise as `normalize`.
  void denormalize(std::span<const double> y, std::span<double> x) const;
  void denormalize(std::span<const float> y, std::span<float> x) const;

 private:
  // y = gain*(x - offset)/divisor - shift, and x = ((y + shift)/gain)*scale + offset.
  struct Dimension {
    double offset = 0, divisor = 1, scale = 1;
    bool copy = false, zero = false;
  };
  template <typename T>
  void forward(std::span<const T> x, std::span<T> y) const;
  template <typename T>
  void inverse(std::span<const T> y, std::span<T> x) const;

  NormalizerSpec spec_;
  std::vector<Dimension> dimensions_;
  double gain_ = 1, shift_ = 0;
  bool clip_forward_ = false, clip_inverse_ = false;
};

}  // namespace vla_rt
