#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/tokenization/byte_pair_encoder.hpp"
#include "vla_rt/tokenization/cosine_transform.hpp"

namespace vla_rt {

/// FAST: a chunk of actions as the byte-pair codes of its rounded frequencies.
///
/// Orthonormal DCT-II along time; q = round(scale*coefficient), half to even; flattened row-major (frequency,
/// dimension); one character max(q - min_token, 0) each; byte-level BPE. Actions should be normalised to [-1,
/// 1] (Normalizer, quantiles). Decoding inverts the steps; the only loss is the rounding, and the clipping
/// below min_token.
///
/// Source: Pertsch et al. 2025, "FAST: Efficient Action Tokenization for Vision-Language-Action Models"; ids
/// equal those of the public processor (physical-intelligence/fast) with the same tokenizer.json.
///
/// Thread: any number of threads. Real-time: no (allocates).
class VLA_RT_API FastTokenizer {
 public:
  struct Config {
    double scale = 10;                       ///< finite, > 0
    std::int64_t min_token = 0;              ///< the q that becomes character 0
    std::int64_t vocab_size = 0;             ///< as written in the file; 0: the encoder's
    std::optional<std::int32_t> horizon;     ///< T to decode to when none is given
    std::optional<std::int32_t> action_dim;  ///< D to decode to when none is given

    [[nodiscard]] bool operator==(const Config&) const = default;
  };

  /// Throws ConfigError naming the field when the configuration makes no sense.
  FastTokenizer(BytePairEncoder encoder, const Config& config);

  /// Reads `processor_config.json` and `tokenizer.json` from a folder. Throws FormatError naming file and
  /// field.
  [[nodiscard]] static FastTokenizer load(const std::string& folder);
  /// Writes both files; makes the folder. Throws ConfigError naming the path that cannot be written.
  void save(const std::string& folder) const;

  [[nodiscard]] const Config& config() const noexcept { return config_; }
  [[nodiscard]] const BytePairEncoder& encoder() const noexcept { return encoder_; }

  /// round(scale*DCT) of a chunk (T, D), flattened. Throws ConfigError naming "actions[i]" when a number is
  /// not finite or a result does not fit 32 bits, and "horizon" as CosineTransform.
  [[nodiscard]] std::vector<std::int32_t> quantize(std::span<const double> actions, int horizon) const;

  /// Ids of one chunk (T, D) row-major. Throws ConfigError as `quantize`, and naming "characters[i]" (i
  /// counts through the T*D coefficients) where BytePairEncoder::encode refuses.
  [[nodiscard]] std::vector<std::int32_t> encode(std::span<const double> actions, int horizon) const;

  /// The quantised coefficients (T*D) that ids spell. With `strict`, throws ConfigError naming "tokens" when
  /// they do not spell whole characters or another number of them; otherwise broken bytes are left out,
  /// missing coefficients are 0 and surplus ones are cut off. Ids outside the vocabulary are always an error.
  [[nodiscard]] std::vector<std::int64_t> coefficients(std::span<const std::int64_t> tokens, int horizon,
                                                       int action_dim, bool strict = true) const;

  /// Actions (T, D) from ids; otherwise as `coefficients`.
  void decode(std::span<const std::int64_t> tokens, int horizon, int action_dim, bool strict,
              std::span<double> actions) const;

 private:
  [[nodiscard]] std::shared_ptr<const CosineTransform> transform(int horizon) const;

  BytePairEncoder encoder_;
  Config config_;
  // The basis of the horizon used last.
  struct Cache {
    std::mutex mutex;
    std::shared_ptr<const CosineTransform> transform;
  };
  std::shared_ptr<Cache> cache_ = std::make_shared<Cache>();
};

}  // namespace vla_rt
