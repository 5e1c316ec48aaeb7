#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/sampling/noise.hpp"

namespace vla_rt {

/// A language model over action tokens as a sampler sees it.
class VLA_RT_API TokenModel {
 public:
  virtual ~TokenModel();
  /// Logits (B, V) of the next token of B sequences of `length` tokens, given as (B, length) row-major; the
  /// memory is the model's own until the next call. V must not change within one sample; -inf forbids a
  /// token. For parallel decoding it is called once, with length 0, and answers (B, n, V): the logits of all
  /// positions.
  virtual std::span<const float> next_logits(std::span<const std::int64_t> tokens, int batch, int length) = 0;
};

enum class TokenChoice : std::uint8_t {
  Greedy,  ///< the largest logit, the lowest index of equal ones
  Sample,  ///< at random by temperature, top-k and top-p, in that order
};
/// "greedy", "sample".
[[nodiscard]] VLA_RT_API const char* to_string(TokenChoice choice) noexcept;
/// Throws ConfigError naming `field` for any other text.
[[nodiscard]] VLA_RT_API TokenChoice token_choice_from_string(const std::string& text,
                                                              const std::string& field);

struct VLA_RT_API AutoregressiveOptions {
  int num_tokens = 1;  ///< most tokens of a sequence, 1..100000
  TokenChoice mode = TokenChoice::Greedy;
  double temperature = 1;  ///< > 0
  int top_k = 0;           ///< keep the k largest logits; 0 keeps all
  double top_p = 1;        ///< keep the fewest tokens whose probabilities reach p, in (0, 1]
  std::optional<std::int64_t> stop_token{};  ///< >= 0; ends a sequence, which is filled up with it
  bool parallel = false;  ///< one evaluation gives the logits of all positions (OpenVLA-OFT)

  [[nodiscard]] bool operator==(const AutoregressiveOptions&) const = default;
  /// Throws ConfigError naming the field.
  void validate() const;
};

/// Draws token sequences one token at a time: position i from the tokens before it; or, with `parallel`,
/// every position from one evaluation.
///
/// Random numbers are `uniform_at(noise, step = position, block = sequence)`. Real-time: no (the model);
/// allocates only to grow `Workspace`. Thread: immutable; any number of threads.
class VLA_RT_API AutoregressiveSampler {
 public:
  /// Memory kept between calls.
  struct Workspace {
    std::vector<std::int64_t> tokens;                     // (B, length)
    std::vector<std::pair<double, std::int32_t>> ranked;  // logit or probability, token
    std::vector<std::uint8_t> stopped;                    // per sequence
  };

  /// Throws ConfigError naming the field.
  explicit AutoregressiveSampler(const AutoregressiveOptions& options);
  [[nodiscard]] const AutoregressiveOptions& options() const noexcept { return options_; }

  /// Fills `workspace.tokens` with (B, n) tokens and returns n: num_tokens, or fewer when every sequence has
  /// stopped. Throws ConfigError for a batch outside 1..65536, ModelError for logits of a changing number,
  /// NaN, +inf, or all forbidden.
  [[nodiscard]] int sample(TokenModel& model, int batch, const NoiseSource& noise,
                           Workspace& workspace) const;

 private:
  [[nodiscard]] std::int64_t choose(std::span<const float> logits, const NoiseSource& noise,
                                    std::uint32_t position, std::uint32_t row, Workspace& workspace) const;

  AutoregressiveOptions options_;
};

}  // namespace vla_rt
