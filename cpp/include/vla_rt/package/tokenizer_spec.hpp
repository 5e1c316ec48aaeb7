#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

// How a package describes the tokenizer that turns a policy's tokens into actions: what the tokenizers'
// constructors take.

/// UniformTokenizer.
struct UniformTokenizerSpec {
  std::vector<double> low, high;  ///< (D), or one number for all dimensions
  std::int64_t num_bins = 256;

  [[nodiscard]] bool operator==(const UniformTokenizerSpec&) const = default;
};

/// Rt1Tokenizer.
struct Rt1TokenizerSpec {
  std::vector<double> low, high;  ///< (D - one_hot), or one number for all dimensions
  std::int64_t vocab_size = 256;
  int one_hot = 0;

  [[nodiscard]] bool operator==(const Rt1TokenizerSpec&) const = default;
};

/// OpenVlaTokenizer.
struct OpenVlaTokenizerSpec {
  std::int64_t vocab_size = 32000, num_bins = 256;

  [[nodiscard]] bool operator==(const OpenVlaTokenizerSpec&) const = default;
};

/// QuantileTokenizer.
struct QuantileTokenizerSpec {
  int action_dim = 0;         ///< D
  std::vector<double> edges;  ///< (D, num_bins + 1)

  [[nodiscard]] bool operator==(const QuantileTokenizerSpec&) const = default;
};

/// MotionTokenizer: each row of a chunk is what an equal share of the tokens adds up to; a gripper without a
/// token stays as in the row before, open before the first.
struct MotionTokenizerSpec {
  [[nodiscard]] bool operator==(const MotionTokenizerSpec&) const = default;
};

/// FastTokenizer in the files `processor_config.json` and `tokenizer.json` of the package.
struct FastTokenizerSpec {
  bool strict = true;  ///< tokens that spell another number of coefficients are an error, not repaired

  [[nodiscard]] bool operator==(const FastTokenizerSpec&) const = default;
};

using TokenizerSpec = std::variant<UniformTokenizerSpec, Rt1TokenizerSpec, OpenVlaTokenizerSpec,
                                   QuantileTokenizerSpec, MotionTokenizerSpec, FastTokenizerSpec>;

}  // namespace vla_rt
