#include "vla_rt/package/policy_spec.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <span>
#include <system_error>
#include <vector>

#include "package/crc32.hpp"
#include "package/mapped_file.hpp"
#include "package/spec_json.hpp"
#include "vla_rt/action_space/action_space.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr const char* kFile = "policy.json";
constexpr std::uintmax_t kMaxFileSize = 16 << 20;
constexpr std::size_t kMaxFeatures = 64, kMaxRank = 6, kMaxEntries = 64;
constexpr std::int64_t kMaxElements = 1 << 26;

FeatureSpec read_feature(const JsonField& field, int n_obs_steps) {
  field.require_keys({"name", "kind", "dtype", "shape", "normalizer"});
  FeatureSpec feature;
  feature.tensor.name = field.at("name").text();
  feature.kind =
      field.at("kind").word({"state", "image"}) == "image" ? FeatureKind::Image : FeatureKind::State;
  const JsonField dtype = field.at("dtype");
  feature.tensor.dtype = dtype_from_string(dtype.word({"float32", "int64", "uint8"}), dtype.path());
  const JsonField shape = field.at("shape");
  std::int64_t elements = 1;
  for (const JsonField& extent : shape.elements(1, kMaxRank)) {
    feature.tensor.shape.push_back(extent.integer(1, kMaxElements));
    elements *= feature.tensor.shape.back();
    if (elements > kMaxElements)
      shape.fail("must have at most " + std::to_string(kMaxElements) + " elements");
  }
  const bool image = feature.kind == FeatureKind::Image;
  if (image && feature.tensor.dtype != DType::Float32) dtype.fail("must be float32 for an image");
  const std::size_t time_axes = n_obs_steps > 1 ? 1 : 0;
  if (time_axes > 0 && feature.tensor.shape.front() != n_obs_steps)
    shape.fail("must begin with n_obs_steps = " + std::to_string(n_obs_steps));
  if (image && feature.tensor.shape.size() != 3 + time_axes)
    shape.fail(std::string("must be ") + (time_axes > 0 ? "(n_obs_steps, C, H, W)" : "(C, H, W)") +
               " for an image");

  const JsonField normalizer = field.at("normalizer");
  feature.normalizer = read_normalizer(normalizer);
  if (feature.tensor.dtype != DType::Float32 && feature.normalizer.mode != NormalizationMode::Identity)
    normalizer.fail("must have mode identity for a feature that is not float32");
  const std::int64_t per_axis = image ? feature.tensor.shape[time_axes] : feature.tensor.shape.back();
  if (const int d = feature.normalizer.dimension(); d != 0 && d != per_axis && (image || d != elements))
    normalizer.fail("has statistics for " + std::to_string(d) + " values, which the shape does not fit");
  return feature;
}

std::vector<FeatureSpec> read_observation(const JsonField& field, int n_obs_steps) {
  std::vector<FeatureSpec> observation;
  for (const JsonField& entry : field.elements(1, kMaxFeatures)) {
    FeatureSpec feature = read_feature(entry, n_obs_steps);
    for (const FeatureSpec& other : observation)
      if (other.tensor.name == feature.tensor.name) entry.at("name").fail("occurs twice");
    observation.push_back(std::move(feature));
  }
  return observation;
}

bool is_plain_file_name(const std::string& name) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return std::ranges::all_of(name, is_allowed) && name.front() != '.' && name != kFile;
}

std::uint32_t read_crc32(const JsonField& field) {
  const std::string text = field.text();
  std::uint32_t crc32 = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), crc32, 16);
  if (text.size() != 8 || error != std::errc() || end != text.data() + 8)
    field.fail("must be 8 hexadecimal digits");
  return crc32;
}

std::string hexadecimal(std::uint32_t crc32) {
  std::string text(8, '0');
  for (std::size_t k = 8; k-- > 0; crc32 >>= 4) text[k] = "0123456789abcdef"[crc32 & 0xF];
  return text;
}

// What a package with a network for `backend` must hold; empty for backends of the caller's own.
std::vector<std::string> files_of(const std::string& backend) {
  if (backend == "native") return {"plan.json", "model.safetensors"};
  if (backend == "torchscript") return {"model.ts"};
  if (backend == "aotinductor") return {"model.pt2"};
  return {};
}

bool is_device(const std::string& name) {
  if (name == "cpu" || name == "cuda") return true;
  const std::string_view number = std::string_view(name).substr(std::min<std::size_t>(name.size(), 5));
  return name.starts_with("cuda:") && !number.empty() && number.size() <= 3 &&
         std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
}

void read_inventory(const JsonField& root, PolicySpec& spec) {
  for (const JsonField& field : root.at("backends").elements(1, kMaxEntries)) {
    const std::string name = field.text();
    if (std::ranges::count(spec.backends, name) > 0) field.fail("occurs twice");
    spec.backends.push_back(name);
  }
  for (const auto& [name, field] : root.at("files").members(kMaxEntries)) {
    if (!is_plain_file_name(name)) field.fail("must be named by letters, digits, '.', '_' and '-' alone");
    field.require_keys({"bytes", "crc32"});
    spec.files[name] = {field.at("bytes").integer(0, INT64_MAX), read_crc32(field.at("crc32"))};
  }
  for (const std::string& backend : spec.backends)
    for (const std::string& file : files_of(backend))
      if (!spec.files.contains(file))
        root.at("files").fail("lacks \"" + std::string(file).append("\", the network of ").append(backend));
  for (const auto& [name, field] : root.at("checks").members(kMaxEntries)) {
    if (field.is_number()) {
      spec.checks[name] = field.number();
    } else {
      spec.checks[name] = field.text();
    }
  }
}

/// A network of narrower numbers says how far it is off, and how far it may be.
void check_precision(const PolicySpec& spec, const JsonField& root) {
  if (spec.precision == "float32") return;
  const JsonField checks = root.at("checks");
  const double bound = checks.at("max_error_bound").number(), error = checks.at("max_error").number();
  if (!(bound > 0)) checks.at("max_error_bound").fail("must be above 0");
  if (!(error >= 0 && error <= bound))
    checks.at("max_error").fail("must be in 0.." + number(bound) + ", the max_error_bound");
}

void check_files(const PolicySpec& spec, const std::filesystem::path& folder) {
  std::error_code error;
  for (const auto& [name, file] : spec.files) {
    const std::string field = std::string(kFile) + "#/files/" + name;
    if (!std::filesystem::is_regular_file(folder / name, error))
      throw FormatError(field, "", "the file is missing");
    const std::uintmax_t actual = std::filesystem::file_size(folder / name, error);
    if (error || actual != static_cast<std::uintmax_t>(file.bytes))
      throw FormatError(field, std::to_string(actual) + " bytes",
                        "the file must have " + std::to_string(file.bytes));
  }
}

}  // namespace

const char* to_string(FeatureKind kind) noexcept { return kind == FeatureKind::Image ? "image" : "state"; }

ModelSignature signature_of(const PolicySpec& spec) {
  ModelSignature signature{{}, spec.horizon, spec.network_dim()};
  signature.device = spec.device;
  for (const FeatureSpec& feature : spec.observation) signature.observation.push_back(feature.tensor);
  if (const auto* direct = std::get_if<DirectOptions>(&spec.sampler))
    signature.output = direct->answer_shape(spec.horizon, spec.network_dim());
  if (const auto* tokens = std::get_if<AutoregressiveSpec>(&spec.sampler)) {
    signature.input = {1};
    signature.output = {tokens->vocab_size};
    if (tokens->parallel) signature.output.insert(signature.output.begin(), tokens->num_tokens);
  }
  return signature;
}

PolicySpec parse_policy_spec(std::string_view text) {
  const Json json = parse_json(text, kFile);
  const JsonField root(json, std::string(kFile) + "#");
  (void)root.at("schema_version").integer(PolicySpec::kSchemaVersion, PolicySpec::kSchemaVersion);
  root.require_keys({"schema_version", "kind", "horizon", "action_dim", "execution_horizon", "n_obs_steps",
                     "period_s", "precision", "observation", "action_normalizer", "action_space", "sampler",
                     "backends", "files", "checks"},
                    {"tokenizer", "device", "generated_dim", "first_row"});
  PolicySpec spec;
  spec.kind = root.at("kind").text();
  spec.horizon = static_cast<int>(root.at("horizon").integer(1, kMaxHorizon));
  spec.action_dim = static_cast<int>(root.at("action_dim").integer(1, kMaxActionDim));
  if (root.has("generated_dim"))
    spec.generated_dim = static_cast<int>(root.at("generated_dim").integer(spec.action_dim, kMaxActionDim));
  if (root.has("first_row"))
    spec.first_row = static_cast<int>(root.at("first_row").integer(0, spec.horizon - 1));
  spec.execution_horizon = static_cast<int>(root.at("execution_horizon").integer(1, spec.chunk_rows()));
  spec.n_obs_steps = static_cast<int>(root.at("n_obs_steps").integer(1, PolicySpec::kMaxObsSteps));
  spec.period_s = root.at("period_s").number();
  if (!(spec.period_s >= 1e-6 && spec.period_s <= 3600))
    root.at("period_s").fail("must be in [1e-6, 3600] s");
  spec.precision = root.at("precision").word({"float32", "bfloat16", "int8"});
  if (root.has("device")) {
    spec.device = root.at("device").text();
    if (!is_device(spec.device))
      root.at("device").fail("must be cpu, cuda, or cuda with a number below 1000 (cuda:1)");
  }
  spec.observation = read_observation(root.at("observation"), spec.n_obs_steps);

  const JsonField normalizer = root.at("action_normalizer");
  spec.action_normalizer = read_normalizer(normalizer);
  const std::string must_fit = ", must be action_dim = " + std::to_string(spec.action_dim);
  if (const int d = spec.action_normalizer.dimension(); d != 0 && d != spec.action_dim)
    normalizer.fail("has statistics for " + std::to_string(d) + " values" + must_fit);
  if (const JsonField space = root.at("action_space"); !space.is_null()) {
    spec.action_space = read_action_space(space);
    if (const int d = ActionSpace::make(*spec.action_space)->dimension(); d != spec.action_dim)
      space.fail("has dimension " + std::to_string(d) + must_fit);
  }
  spec.sampler = read_sampler(root.at("sampler"));
  if (root.has("tokenizer") && !root.at("tokenizer").is_null())
    spec.tokenizer = read_tokenizer(root.at("tokenizer"));
  if (spec.tokenizer && spec.network_dim() != spec.action_dim)
    root.at("generated_dim").fail("must be action_dim where the sampler draws tokens");
  read_inventory(root, spec);
  check_tokens(spec, root);
  check_precision(spec, root);
  return spec;
}

PolicySpec read_policy_spec(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kFile;
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error))
    throw FormatError(file.string(), "", "is missing: this is not a policy package");
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (error || size > kMaxFileSize)
    throw FormatError(file.string(), std::to_string(size) + " bytes", "must have at most 16 MiB");
  std::ifstream in(file, std::ios::binary);
  std::string text(size, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(size)))
    throw FormatError(file.string(), "", "cannot be read");
  PolicySpec spec = parse_policy_spec(text);
  check_files(spec, folder);
  return spec;
}

void verify_files(const PolicySpec& spec, const std::filesystem::path& folder) {
  for (const auto& [name, file] : spec.files) {
    const MappedFile mapped(folder / name);
    Crc32 crc32;
    crc32.add(mapped.bytes());
    if (crc32.value() != file.crc32)
      throw FormatError(
          std::string(kFile) + "#/files/" + name + "/crc32", hexadecimal(crc32.value()),
          "the file must have " + hexadecimal(file.crc32) + ": it is not the one that was exported");
  }
}

std::string to_json(const PolicySpec& spec) {
  Json observation = Json::array();
  for (const FeatureSpec& feature : spec.observation)
    observation.push_back({{"name", feature.tensor.name},
                           {"kind", to_string(feature.kind)},
                           {"dtype", to_string(feature.tensor.dtype)},
                           {"shape", feature.tensor.shape},
                           {"normalizer", json_of(feature.normalizer)}});
  Json files = Json::object();
  for (const auto& [name, file] : spec.files)
    files[name] = {{"bytes", file.bytes}, {"crc32", hexadecimal(file.crc32)}};
  Json checks = Json::object();
  for (const auto& [name, value] : spec.checks)
    std::visit([&, &key = name](const auto& v) { checks[key] = v; }, value);
  Json json{{"schema_version", PolicySpec::kSchemaVersion},
            {"kind", spec.kind},
            {"horizon", spec.horizon},
            {"action_dim", spec.action_dim},
            {"execution_horizon", spec.execution_horizon},
            {"n_obs_steps", spec.n_obs_steps},
            {"first_row", spec.first_row},
            {"period_s", spec.period_s},
            {"precision", spec.precision},
            {"observation", std::move(observation)},
            {"action_normalizer", json_of(spec.action_normalizer)},
            {"action_space", spec.action_space ? json_of(*spec.action_space) : Json()},
            {"sampler", json_of(spec.sampler)},
            {"device", spec.device},
            {"tokenizer", spec.tokenizer ? json_of(*spec.tokenizer) : Json()},
            {"backends", spec.backends},
            {"files", std::move(files)},
            {"checks", std::move(checks)}};
  if (spec.generated_dim > 0) json["generated_dim"] = spec.generated_dim;
  return json.dump(2);
}

}  // namespace vla_rt
