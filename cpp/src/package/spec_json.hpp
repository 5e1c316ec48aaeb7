#pragma once
#include "package/json_field.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/package/policy_spec.hpp"

namespace vla_rt {

/// Runs `make`; a ConfigError about the object becomes a FormatError about the place it was read from.
template <class Make>
auto placed(const JsonField& field, Make&& make) {
  try {
    return make();
  } catch (const ConfigError& e) {
    throw FormatError(e.name().empty() ? field.path() : field.path() + "/" + e.name(), e.value(),
                      e.bound().empty() ? e.what() : e.bound());
  }
}

// Each pair writes and reads one part of `policy.json`; reading what was written gives an equal value.
// Readers throw FormatError.

[[nodiscard]] Json json_of(const NormalizerSpec& spec);
[[nodiscard]] NormalizerSpec read_normalizer(const JsonField& field);

[[nodiscard]] Json json_of(const ActionSpaceSpec& spec);
[[nodiscard]] ActionSpaceSpec read_action_space(const JsonField& field);

[[nodiscard]] Json json_of(const SamplerSpec& spec);
[[nodiscard]] SamplerSpec read_sampler(const JsonField& field);

[[nodiscard]] Json json_of(const TokenizerSpec& spec);
[[nodiscard]] TokenizerSpec read_tokenizer(const JsonField& field);
/// Throws FormatError when the sampler and the tokenizer of a policy do not fit each other, its horizon or
/// its action_dim.
void check_tokens(const PolicySpec& spec, const JsonField& root);

}  // namespace vla_rt
