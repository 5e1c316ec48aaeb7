#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "tokenization/bounded_json.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/tokenization/fast_tokenizer.hpp"

namespace vla_rt {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxFileBytes = std::uintmax_t{256} << 20;

std::string read(const fs::path& file) {
  std::error_code error;
  const std::uintmax_t size = fs::is_regular_file(file, error) ? fs::file_size(file, error) : 0;
  if (error || !fs::is_regular_file(file, error)) throw FormatError(file.string(), "", "no such file");
  if (size > kMaxFileBytes)
    throw FormatError(file.string(), std::to_string(size) + " bytes", "must be at most 256 MiB");
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw FormatError(file.string(), "", "cannot be read");
  return text.str();
}

void write(const fs::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) throw ConfigError("path", file.string(), "cannot be written");
}

std::int64_t integer(const json& value, const std::string& field) {
  if (!value.is_number_integer() || value < std::numeric_limits<std::int32_t>::min() ||
      value > std::numeric_limits<std::int32_t>::max())
    throw FormatError(field, value.dump().substr(0, 40), "must be a 32-bit integer");
  return value.get<std::int64_t>();
}

std::optional<std::int32_t> optional_integer(const json& config, const char* name) {
  const auto found = config.find(name);
  if (found == config.end() || found->is_null()) return std::nullopt;
  return static_cast<std::int32_t>(integer(*found, std::string("processor_config.json: ") + name));
}

}  // namespace

FastTokenizer FastTokenizer::load(const std::string& folder) {
  const fs::path root(folder);
  const std::string file = "processor_config.json";
  const json config = parse_bounded_json(read(root / file), file);
  if (!config.is_object()) throw FormatError(file, "", "must be an object");
  Config made;
  if (const auto scale = config.find("scale"); scale != config.end()) {
    if (!scale->is_number())
      throw FormatError(file + ": scale", scale->dump().substr(0, 40), "must be a number");
    made.scale = scale->get<double>();
  }
  made.min_token = optional_integer(config, "min_token").value_or(0);
  made.vocab_size = optional_integer(config, "vocab_size").value_or(0);
  made.horizon = optional_integer(config, "time_horizon");
  made.action_dim = optional_integer(config, "action_dim");
  BytePairEncoder encoder = BytePairEncoder::from_json(read(root / "tokenizer.json"));
  try {
    return {std::move(encoder), made};
  } catch (const ConfigError& error) {
    throw FormatError(file + ": " + error.name(), error.value(), error.bound());
  }
}

void FastTokenizer::save(const std::string& folder) const {
  const fs::path root(folder);
  std::error_code error;
  fs::create_directories(root, error);
  if (error) throw ConfigError("path", folder, "cannot be made: " + error.message());
  json config = {{"processor_class", "UniversalActionProcessor"},
                 {"scale", config_.scale},
                 {"vocab_size", config_.vocab_size},
                 {"min_token", config_.min_token},
                 {"action_dim", nullptr},
                 {"time_horizon", nullptr}};
  if (config_.action_dim) config["action_dim"] = *config_.action_dim;
  if (config_.horizon) config["time_horizon"] = *config_.horizon;
  write(root / "processor_config.json", config.dump(2) + "\n");
  write(root / "tokenizer.json", encoder_.to_json() + "\n");
}

}  // namespace vla_rt
