#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/sampling/sampler.hpp"

namespace vla_rt {

/// What the network of a direct policy answers for one chunk of n = T D values, row-major.
enum class DirectHead : std::uint8_t {
  Value,    ///< (T, D): the actions
  Normal,   ///< (2, T, D): means, standard deviations
  Mixture,  ///< (M, 1 + 2 T D): of each of M possible chunks its logit, means, standard deviations
};
/// Which chunk is taken from a distribution.
enum class DirectChoice : std::uint8_t {
  Mean,    ///< of a mixture the mean over its components
  Mode,    ///< of a mixture the mean of its likeliest component
  Sample,  ///< of a mixture a component at random, then a chunk of it
};

/// "value", "normal", "mixture"; "mean", "mode", "sample".
[[nodiscard]] VLA_RT_API const char* to_string(DirectHead head) noexcept;
[[nodiscard]] VLA_RT_API const char* to_string(DirectChoice choice) noexcept;
/// Throw ConfigError naming `field` and the accepted texts for any other text.
[[nodiscard]] VLA_RT_API DirectHead direct_head_from_string(const std::string& text,
                                                            const std::string& field);
[[nodiscard]] VLA_RT_API DirectChoice direct_choice_from_string(const std::string& text,
                                                                const std::string& field);

struct VLA_RT_API DirectOptions {
  DirectHead head = DirectHead::Value;
  DirectChoice mode = DirectChoice::Mean;  ///< mean for head value
  int num_components = 1;                  ///< M, 1..1024; 1 unless head is mixture
  bool clip_sample = false;                ///< clamp the actions to +-clip_range
  double clip_range = 1.0;                 ///< > 0

  [[nodiscard]] bool operator==(const DirectOptions&) const = default;
  /// Throws ConfigError naming the field.
  void validate() const;
  /// Shape of the network's answer for a chunk (T, D).
  [[nodiscard]] std::vector<std::int64_t> answer_shape(int horizon, int action_dim) const;
};

/// One evaluation of the network is the answer: regression, Gaussian and mixture heads, one-step generators.
///
/// The network sees the noise as x (most direct policies ignore it) and t = 0. A sampled chunk is mean + std
/// z; z is `step_noise` 0, and the component of a mixture is chosen by the Philox word (chunk, step 2, block
/// 0), so that all rows of a chunk are of one component. `sample` handles one chunk a call. Real-time: as the
/// denoiser. Thread: immutable; any number of threads.
class VLA_RT_API DirectSampler final : public Sampler {
 public:
  /// Throws ConfigError naming the field.
  explicit DirectSampler(const DirectOptions& options = {});

  [[nodiscard]] const DirectOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::span<const double> stage_times() const noexcept override { return time_; }
  [[nodiscard]] std::span<const double> timesteps() const noexcept override { return time_; }
  [[nodiscard]] std::size_t scratch_size(std::size_t n) const noexcept override;
  /// Numbers that the network answers for a chunk of n values.
  [[nodiscard]] std::size_t answer_size(std::size_t n) const noexcept;

  /// The chunk of `answer` (answer_size(x.size()) numbers without defect); `z` (n) is used by mode sample
  /// alone. Real-time: no allocation, does not throw.
  void decode(std::span<const float> answer, const NoiseSource& noise, std::span<const float> z,
              std::span<float> x) const noexcept;

  void begin(const Sampling& s) const noexcept override;
  [[nodiscard]] std::span<const float> point(const Sampling& s, int stage) const noexcept override;
  [[nodiscard]] std::span<float> answer(const Sampling& s) const noexcept override;
  /// Besides numbers that are not finite: standard deviations below 0.
  [[nodiscard]] AnswerDefect find_defect(std::span<const float> answer) const noexcept override;
  void absorb(const Sampling& s, int stage) const noexcept override;

 private:
  [[nodiscard]] std::size_t component(std::span<const float> answer, const NoiseSource& noise,
                                      std::size_t stride) const noexcept;

  DirectOptions options_;
  std::array<double, 1> time_{0.0};
};

}  // namespace vla_rt
