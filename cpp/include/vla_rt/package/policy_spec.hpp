#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vla_rt/action_space/action_space_spec.hpp"
#include "vla_rt/action_space/normalizer_spec.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/tensor.hpp"
#include "vla_rt/inference/backend_registry.hpp"
#include "vla_rt/package/tokenizer_spec.hpp"
#include "vla_rt/sampling/autoregressive_sampler.hpp"
#include "vla_rt/sampling/consistency_sampler.hpp"
#include "vla_rt/sampling/ddim_sampler.hpp"
#include "vla_rt/sampling/direct_sampler.hpp"
#include "vla_rt/sampling/dpm_solver_sampler.hpp"
#include "vla_rt/sampling/flow_matching_sampler.hpp"
#include "vla_rt/sampling/sampler.hpp"
#include "vla_rt/sampling/schedule.hpp"

namespace vla_rt {

/// What a feature of an observation is.
enum class FeatureKind : std::uint8_t {
  State,  ///< numbers
  Image,  ///< float32 (C,H,W) in [0,1]; uint8 (H,W,C) is converted
};

/// "state", "image".
[[nodiscard]] VLA_RT_API const char* to_string(FeatureKind kind) noexcept;

/// One input of a policy.
struct FeatureSpec {
  FeatureKind kind = FeatureKind::State;
  TensorSpec tensor;          ///< name, element type and shape that the network takes: with n_obs_steps > 1
                              ///< its first axis is time, oldest first
  NormalizerSpec normalizer;  ///< of float32 features: per value, per last axis, or per channel of an image

  [[nodiscard]] bool operator==(const FeatureSpec&) const = default;
};

/// Options of the AutoregressiveSampler of a token policy, with what its network takes and answers.
struct VLA_RT_API AutoregressiveSpec : AutoregressiveOptions {
  int vocab_size = 0;            ///< V, logits of one token, 1..2^20
  std::int64_t start_token = 0;  ///< what the network takes before the first token, 0..2^24

  [[nodiscard]] bool operator==(const AutoregressiveSpec&) const = default;
  /// Throws ConfigError naming the field.
  void validate() const;
};

/// Options of the sampler that turns a policy's network into actions; plain DiffusionOptions are those of
/// DDPM.
using SamplerSpec = std::variant<FlowMatchingOptions, DiffusionOptions, DDIMOptions, DPMSolverOptions,
                                 ConsistencyOptions, DirectOptions, AutoregressiveSpec>;
/// Null for an AutoregressiveSpec, whose sampler draws tokens. Throws ConfigError for options out of their
/// bounds.
[[nodiscard]] VLA_RT_API std::unique_ptr<const Sampler> make_sampler(const SamplerSpec& spec);

/// A file of a package as it was exported.
struct FileSpec {
  std::int64_t bytes = 0;
  std::uint32_t crc32 = 0;  ///< of its contents, as zlib's

  [[nodiscard]] bool operator==(const FileSpec&) const = default;
};

/// Everything a policy package says about itself: the contents of its `policy.json`.
struct PolicySpec {
  static constexpr int kSchemaVersion = 1;
  static constexpr int kMaxObsSteps = 32;

  std::string kind;            ///< family of the policy: "flow_matching", ...
  int horizon = 0;             ///< T, rows that the network answers
  int action_dim = 0;          ///< D
  int execution_horizon = 0;   ///< rows to execute before the next chunk is due, 1..chunk_rows()
  int n_obs_steps = 1;         ///< observations it sees, one per row period, 1..kMaxObsSteps
  int generated_dim = 0;       ///< columns of the network beyond D included, left out of a chunk; 0: D
  int first_row = 0;           ///< rows of the past at the front of the T, left out of a chunk
  double period_s = 0;         ///< time between two rows
  std::string precision;       ///< of the native network: "float32", "bfloat16", "int8"
  std::string device = "cpu";  ///< where the network runs: "cpu", "cuda", "cuda:1"
  std::vector<FeatureSpec> observation;         ///< inputs, in the order of the network
  NormalizerSpec action_normalizer;             ///< D statistics
  std::optional<ActionSpaceSpec> action_space;  ///< what the D numbers mean, where that was said
  SamplerSpec sampler;
  std::optional<TokenizerSpec> tokenizer;                           ///< where the sampler draws tokens
  std::vector<std::string> backends;                                ///< that the package has a network for
  std::map<std::string, FileSpec> files;                            ///< by name, beside policy.json
  std::map<std::string, std::variant<double, std::string>> checks;  ///< what was verified at export

  [[nodiscard]] bool operator==(const PolicySpec&) const = default;
  /// Rows of a chunk: T less those of the past.
  [[nodiscard]] int chunk_rows() const noexcept { return horizon - first_row; }
  /// Columns that the network and the noise have.
  [[nodiscard]] int network_dim() const noexcept { return generated_dim > 0 ? generated_dim : action_dim; }
};

/// The shapes that a network of this policy has.
[[nodiscard]] VLA_RT_API ModelSignature signature_of(const PolicySpec& spec);

/// Reads the text of a `policy.json`, whoever wrote it: every field is required, checked and bounded.
/// Throws FormatError naming the field as a JSON pointer ("policy.json#/observation/0/shape/1") for text that
/// is not JSON, a missing, unknown or repeated field, a wrong type, a number out of its bounds, or another
/// schema version. A precision other than float32 needs the numbers max_error, of the network against its
/// float32 form, and max_error_bound among the checks. `tokenizer` may be missing, which is null,
/// `device`, which is "cpu", `generated_dim` and `first_row`, which are 0.
[[nodiscard]] VLA_RT_API PolicySpec parse_policy_spec(std::string_view text);

/// Reads `folder/policy.json` and checks that the files it lists are there in the size it says.
/// Throws FormatError as `parse_policy_spec`, and for a file that is missing, cut or longer.
[[nodiscard]] VLA_RT_API PolicySpec read_policy_spec(const std::filesystem::path& folder);

/// Reads the listed files whole. Throws FormatError naming the first that is not what was exported.
VLA_RT_API void verify_files(const PolicySpec& spec, const std::filesystem::path& folder);

/// The text that `parse_policy_spec` reads back as an equal spec.
[[nodiscard]] VLA_RT_API std::string to_json(const PolicySpec& spec);
/// The parts that an exporter fills in: objects as `policy.json` holds them.
[[nodiscard]] VLA_RT_API std::string to_json(const NormalizerSpec& spec);
[[nodiscard]] VLA_RT_API std::string to_json(const ActionSpaceSpec& spec);
[[nodiscard]] VLA_RT_API std::string to_json(const TokenizerSpec& spec);

}  // namespace vla_rt
