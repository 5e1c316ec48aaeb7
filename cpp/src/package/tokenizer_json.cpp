#include <string>

#include "package/action_tokens.hpp"
#include "package/spec_json.hpp"
#include "vla_rt/core/capacity.hpp"

namespace vla_rt {
namespace {

constexpr std::size_t kMaxEdges = (std::size_t{1} << 20) + 1;

struct Writer {
  Json operator()(const UniformTokenizerSpec& s) const {
    return {{"type", "uniform"}, {"low", s.low}, {"high", s.high}, {"num_bins", s.num_bins}};
  }
  Json operator()(const Rt1TokenizerSpec& s) const {
    return {{"type", "rt1"},
            {"low", s.low},
            {"high", s.high},
            {"vocab_size", s.vocab_size},
            {"one_hot", s.one_hot}};
  }
  Json operator()(const OpenVlaTokenizerSpec& s) const {
    return {{"type", "openvla"}, {"vocab_size", s.vocab_size}, {"num_bins", s.num_bins}};
  }
  Json operator()(const QuantileTokenizerSpec& s) const {
    Json edges = Json::array();
    const auto rows = static_cast<std::size_t>(s.action_dim);
    const std::size_t per_row = rows > 0 ? s.edges.size() / rows : 0;
    for (std::size_t d = 0; d < rows; ++d) {
      const auto row = s.edges.begin() + static_cast<std::ptrdiff_t>(d * per_row);
      edges.push_back(std::vector<double>(row, row + static_cast<std::ptrdiff_t>(per_row)));
    }
    return {{"type", "quantile"}, {"edges", std::move(edges)}};
  }
  Json operator()(const MotionTokenizerSpec& /*s*/) const { return {{"type", "motion"}}; }
  Json operator()(const FastTokenizerSpec& s) const { return {{"type", "fast"}, {"strict", s.strict}}; }
};

std::int64_t read_count(const JsonField& field) { return field.integer(1, INT32_MAX); }

QuantileTokenizerSpec read_quantile(const JsonField& field) {
  field.require_keys({"type", "edges"});
  const JsonField edges = field.at("edges");
  QuantileTokenizerSpec spec;
  for (const JsonField& row : edges.elements(1, kMaxActionDim)) {
    const std::vector<double> values = row.numbers(kMaxEdges);
    if (spec.action_dim > 0 && values.size() != spec.edges.size() / static_cast<std::size_t>(spec.action_dim))
      row.fail("must be as long as the rows before");
    spec.edges.insert(spec.edges.end(), values.begin(), values.end());
    ++spec.action_dim;
  }
  return spec;
}

TokenizerSpec read_kind(const JsonField& field, const std::string& type) {
  if (type == "uniform") {
    field.require_keys({"type", "low", "high", "num_bins"});
    return UniformTokenizerSpec{field.at("low").numbers(kMaxActionDim),
                                field.at("high").numbers(kMaxActionDim), read_count(field.at("num_bins"))};
  }
  if (type == "rt1") {
    field.require_keys({"type", "low", "high", "vocab_size", "one_hot"});
    return Rt1TokenizerSpec{field.at("low").numbers(kMaxActionDim), field.at("high").numbers(kMaxActionDim),
                            read_count(field.at("vocab_size")),
                            static_cast<int>(field.at("one_hot").integer(0, kMaxActionDim))};
  }
  if (type == "openvla") {
    field.require_keys({"type", "vocab_size", "num_bins"});
    return OpenVlaTokenizerSpec{read_count(field.at("vocab_size")), read_count(field.at("num_bins"))};
  }
  if (type == "quantile") return read_quantile(field);
  if (type == "motion") {
    field.require_keys({"type"});
    return MotionTokenizerSpec{};
  }
  field.require_keys({"type", "strict"});
  return FastTokenizerSpec{field.at("strict").boolean()};
}

}  // namespace

Json json_of(const TokenizerSpec& spec) { return std::visit(Writer{}, spec); }

TokenizerSpec read_tokenizer(const JsonField& field) {
  const std::string type = field.at("type").word({"uniform", "rt1", "openvla", "quantile", "motion", "fast"});
  return placed(field, [&] {
    TokenizerSpec spec = read_kind(field, type);
    validate(spec);
    return spec;
  });
}

void check_tokens(const PolicySpec& spec, const JsonField& root) {
  const auto* sampler = std::get_if<AutoregressiveSpec>(&spec.sampler);
  if ((sampler != nullptr) != spec.tokenizer.has_value()) {
    if (sampler != nullptr)
      throw FormatError(root.path() + "/tokenizer", "", "is missing: the sampler draws tokens");
    root.at("tokenizer").fail("must be null: the sampler draws no tokens");
  }
  if (sampler == nullptr) return;
  const JsonField tokenizer = root.at("tokenizer");
  const JsonField options = root.at("sampler");
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): refused above when it is missing
  if (std::holds_alternative<FastTokenizerSpec>(*spec.tokenizer)) {
    for (const char* file : {"processor_config.json", "tokenizer.json"})
      if (!spec.files.contains(file))
        throw FormatError(root.path() + "/files/" + file, "", "is missing: the tokenizer is in this file");
    return;  // whether the vocabularies fit is known with the files
  }
  const auto tokens = placed(
      tokenizer, [&] { return ActionTokens::make(*spec.tokenizer, spec.horizon, spec.action_dim, {}); });
  if (!tokens->fits(sampler->num_tokens))
    options.at("num_tokens").fail("must be what the tokenizer makes of a chunk of horizon x action_dim");
  if (sampler->stop_token)
    options.at("stop_token").fail("must be null: every chunk has as many tokens with this tokenizer");
  if (tokens->max_token() >= sampler->vocab_size)
    options.at("vocab_size")
        .fail("must be above the tokenizer's last id, " + std::to_string(tokens->max_token()));
}

}  // namespace vla_rt
