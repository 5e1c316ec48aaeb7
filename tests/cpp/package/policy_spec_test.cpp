#include "vla_rt/package/policy_spec.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "package/crc32.hpp"
#include "package/policy_documents.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;
using vla_rt::testing::kDocument;

namespace {

std::string replaced(const std::string& from, const std::string& to) {
  const std::size_t at = kDocument.find(from);
  REQUIRE(at != std::string::npos);
  return std::string(kDocument).replace(at, from.size(), to);
}

std::string field_of_error(const std::string& text) {
  try {
    (void)parse_policy_spec(text);
  } catch (const FormatError& e) {
    return e.name();
  }
  return "no error";
}

/// Any outcome but a spec or a FormatError fails; returns whether the text was accepted.
bool survives(const std::string& text) {
  try {
    const PolicySpec spec = parse_policy_spec(text);
    CHECK(parse_policy_spec(to_json(spec)) == spec);
    return true;
  } catch (const FormatError&) {
    return false;
  }
}

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / ("vla_rt_spec_" + std::to_string(::getpid()))) {
    std::filesystem::create_directory(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
  }
  std::filesystem::path path;
};

}  // namespace

TEST_CASE("a document is read completely and written back equal") {
  const PolicySpec spec = parse_policy_spec(kDocument);
  CHECK(spec.kind == "flow_matching");
  CHECK(spec.horizon == 2);
  CHECK(spec.action_dim == 3);
  CHECK(spec.period_s == 0.05);
  REQUIRE(spec.observation.size() == 3);
  CHECK(spec.observation[1].kind == FeatureKind::Image);
  CHECK(spec.observation[2].tensor.dtype == DType::Int64);
  CHECK(spec.action_normalizer.mask == std::vector<std::uint8_t>{1, 1, 0});
  CHECK(spec.action_space->kind == ActionSpaceKind::JointPosition);
  CHECK(std::get<FlowMatchingOptions>(spec.sampler).num_steps == 4);
  CHECK(spec.files.at("model.ts") == FileSpec{10, 0x261daee5});
  CHECK(parse_policy_spec(to_json(spec)) == spec);
}

TEST_CASE("every action space is stored and read back") {
  const std::string space = R"({"type": "joint_position", "lower": [-1, 0, -9], "upper": [1, 10, 9]})";
  CHECK(survives(replaced(space, "null")));
  CHECK(survives(replaced(space, R"({"type": "continuous", "lower": [-1, 0, -9], "upper": [1, 10, 9]})")));
  CHECK(
      survives(replaced(space, R"({"type": "joint_velocity", "lower": [-1, -2, -9], "upper": [1, 2, 9]})")));
  CHECK(survives(replaced(space, R"({"type": "hybrid", "skills": [{"name": "pick", "parameters":
    {"type": "continuous", "lower": [0, 0], "upper": [1, 1]}}, {"name": "wave"}]})")));
}

TEST_CASE("every sampler is stored and read back") {
  const std::string flow = R"({"type": "flow_matching", "num_steps": 4, "solver": "euler", "noise_at": 0})";
  const std::string common =
      R"("num_train_steps": 100, "beta_schedule": "squaredcos_cap_v2", "beta_start": 1e-4,
    "beta_end": 0.02, "prediction": "v_prediction", "clip_sample": true, "clip_range": 1, "num_steps": 10,
    "timestep_spacing": "trailing", "steps_offset": 0)";
  const auto with = [&](const std::string& sampler) { return replaced(flow, sampler); };
  CHECK(survives(with(R"({"type": "ddpm", )" + common + "}")));
  CHECK(survives(with(R"({"type": "ddim", "eta": 0.5, "set_alpha_to_one": false, )" + common + "}")));
  const std::string dpm = R"({"type": "dpm_solver", "algorithm_type": "sde-dpmsolver++", "solver_order": 3,
    "solver_type": "heun", "lower_order_final": false, "final_sigmas_type": "sigma_min", "use_karras_sigmas": true, )";
  CHECK(survives(with(dpm + common + "}")));
  CHECK(std::get<DPMSolverOptions>(parse_policy_spec(with(dpm + common + "}")).sampler).solver_order == 3);
  CHECK(survives(with(R"({"type": "consistency", "num_steps": 2, "sigma_min": 0.02, "sigma_max": 80, "rho": 7,
    "sigma_data": 0.5})")));
  CHECK(field_of_error(with(R"({"type": "ddim", "eta": 2, "set_alpha_to_one": false, )" + common + "}")) ==
        "policy.json#/sampler/eta");
  CHECK(field_of_error(with(R"({"type": "ddpm", "eta": 2, )" + common + "}")) == "policy.json#/sampler/eta");
  CHECK(field_of_error(with(R"({"type": "ddim", "eta": 0, )" + common + "}")) ==
        "policy.json#/sampler/set_alpha_to_one");
  CHECK(field_of_error(with(R"({"type": "ddpm"})")) == "policy.json#/sampler/num_train_steps");
  CHECK(field_of_error(with(R"({"type": "ancestral"})")) == "policy.json#/sampler/type");
}

TEST_CASE("what is wrong is named by its place") {
  const std::array<std::array<std::string, 3>, 52> cases{{
      {R"("schema_version": 1)", R"("schema_version": 2)", "/schema_version"},
      {R"("schema_version": 1,)", "", "/schema_version"},
      {R"("schema_version": 1)", R"("schema_version": 1.0)", "/schema_version"},
      {R"("kind": "flow_matching",)", R"("kind": "flow_matching", "extra": 1,)", "/extra"},
      {R"("kind": "flow_matching",)", "", "/kind"},
      {R"("kind": "flow_matching")", R"("kind": "a\u0007b")", "/kind"},
      {R"("horizon": 2)", R"("horizon": 0)", "/horizon"},
      {R"("horizon": 2)", R"("horizon": -2)", "/horizon"},
      {R"("horizon": 2)", R"("horizon": 257)", "/horizon"},
      {R"("horizon": 2)", R"("horizon": 2.5)", "/horizon"},
      {R"("horizon": 2)", R"("horizon": "2")", "/horizon"},
      {R"("horizon": 2)", R"("horizon": 18446744073709551615)", "/horizon"},
      {R"("horizon": 2)", R"("horizon": 2, "horizon": 2)", "/horizon"},
      {R"("action_dim": 3)", R"("action_dim": 65)", "/action_dim"},
      {R"("action_dim": 3)", R"("action_dim": 4)", "/action_normalizer"},
      {R"("execution_horizon": 1)", R"("execution_horizon": 3)", "/execution_horizon"},
      {R"("n_obs_steps": 1)", R"("n_obs_steps": 0)", "/n_obs_steps"},
      {R"("n_obs_steps": 1)", R"("n_obs_steps": 33)", "/n_obs_steps"},
      {R"("n_obs_steps": 1)", R"("n_obs_steps": 3)", "/observation/0/shape"},
      {R"("n_obs_steps": 1)", R"("n_obs_steps": 1, "generated_dim": 2)", "/generated_dim"},
      {R"("n_obs_steps": 1)", R"("n_obs_steps": 1, "generated_dim": 65)", "/generated_dim"},
      {R"("n_obs_steps": 1)", R"("n_obs_steps": 1, "first_row": 2)", "/first_row"},
      {R"("n_obs_steps": 1)", R"("n_obs_steps": 1, "first_row": -1)", "/first_row"},
      {R"("execution_horizon": 1)", R"("execution_horizon": 2, "first_row": 1)", "/execution_horizon"},
      {R"("period_s": 0.05)", R"("period_s": 0)", "/period_s"},
      {R"("period_s": 0.05)", R"("period_s": -0.05)", "/period_s"},
      {R"("precision": "float32")", R"("precision": "float16")", "/precision"},
      {R"("shape": [2])", R"("shape": [])", "/observation/0/shape"},
      {R"("shape": [2])", R"("shape": [-2])", "/observation/0/shape/0"},
      {R"("shape": [2])", R"("shape": [65536, 65536])", "/observation/0/shape"},
      {R"("shape": [2])", R"("shape": [3])", "/observation/0/normalizer"},
      {R"("shape": [2])", R"("shape": [1,1,1,1,1,1,2])", "/observation/0/shape"},
      {R"("shape": [3, 1, 2])", R"("shape": [6])", "/observation/1/shape"},
      {R"("name": "camera")", R"("name": "observation.state")", "/observation/1/name"},
      {R"("name": "camera")", R"("name": "")", "/observation/1/name"},
      {R"("kind": "image")", R"("kind": "smell")", "/observation/1/kind"},
      {R"("dtype": "int64")", R"("dtype": "float64")", "/observation/2/dtype"},
      {R"("std": [0.5, 4])", R"("std": [-0.5, 4])", "/observation/0/normalizer/std[0]"},
      {R"("std": [0.5, 4])", R"("std": [0.5])", "/observation/0/normalizer/std"},
      {R"("std": [0.5, 4])", R"("std": [0.5, "4"])", "/observation/0/normalizer/std/1"},
      {R"(, "std": [0.5, 4])", "", "/observation/0/normalizer/std"},
      {R"("mask": [true, true, false])", R"("mask": [1, 1, 0])", "/action_normalizer/mask/0"},
      {R"("lower": [-1, 0, -9])", R"("lower": [2, 0, -9])", "/action_space/lower[0]"},
      {R"("num_steps": 4)", R"("num_steps": 100000)", "/sampler/num_steps"},
      {R"("solver": "euler")", R"("solver": "magic")", "/sampler/solver"},
      {R"(, "noise_at": 0)", "", "/sampler/noise_at"},
      {R"("backends": ["torchscript", "other"])", R"("backends": [])", "/backends"},
      {R"("model.ts": {)", R"("../model.ts": {)", "/files/..~1model.ts"},
      {R"("bytes": 10)", R"("bytes": -1)", "/files/model.ts/bytes"},
      {R"("261daee5")", R"("261daee")", "/files/model.ts/crc32"},
      {R"("261daee5")", R"("261daeeg")", "/files/model.ts/crc32"},
      {R"("model.ts")", R"("model.t")", "/files"},
  }};
  for (const auto& [from, to, field] : cases) {
    CAPTURE(to);
    CHECK(field_of_error(replaced(from, to)) == "policy.json#" + field);
  }
}

TEST_CASE("what is not JSON is said so") {
  for (const char* text :
       {"", "{", "nul", "\xff\xfe", "{\"a\": NaN}", "{\"horizon\": 1e999}", "{} {}", "{'a': 1}"}) {
    CAPTURE(text);
    CHECK(field_of_error(text) == "policy.json");
  }
  CHECK(field_of_error("[]") == "policy.json#");
  CHECK(field_of_error(std::string(100'000, '[')) == "policy.json");
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "{\"a\":";
  CHECK(field_of_error(nested) == "policy.json");
}

TEST_CASE("a document cut at any length is a FormatError") {
  for (std::size_t length = 0; length < kDocument.size(); ++length)
    CHECK_FALSE(survives(kDocument.substr(0, length)));
}

TEST_CASE("no change of bytes does worse than a FormatError") {
  std::mt19937 random(1);
  const std::string alphabet = "{}[]\",:.-+eE0123456789tfnul \\\x00\xff\x80" + std::string(1, '\0');
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = kDocument;
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes) {
      const std::size_t at = random() % text.size();
      const char c = random() % 4 == 0 ? static_cast<char>(random()) : alphabet[random() % alphabet.size()];
      switch (random() % 4) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1 + random() % 4, c);
          break;
        case 2:
          text.erase(at, 1 + random() % 8);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 60));
      }
    }
    accepted += survives(text) ? 1 : 0;
  }
  CHECK(accepted > 0);  // some changes are harmless: white space, another name
  CHECK(accepted < 10'000);
}

TEST_CASE("the folder must hold the files that are listed, in their size") {
  const Folder folder;
  CHECK_THROWS_AS((void)read_policy_spec(folder.path), FormatError);
  CHECK_THROWS_AS((void)read_policy_spec(folder.path / "nowhere"), FormatError);
  folder.write("policy.json", kDocument);
  CHECK_THROWS_WITH_AS((void)read_policy_spec(folder.path), doctest::Contains("files/model.ts"), FormatError);
  folder.write("model.ts", "123456789");
  CHECK_THROWS_WITH_AS((void)read_policy_spec(folder.path), doctest::Contains("9 bytes"), FormatError);
  folder.write("model.ts", "1234567890");
  CHECK(read_policy_spec(folder.path) == parse_policy_spec(kDocument));
  CHECK_NOTHROW(verify_files(parse_policy_spec(kDocument), folder.path));
  folder.write("model.ts", "1234567891");
  CHECK_NOTHROW((void)read_policy_spec(folder.path));
  CHECK_THROWS_WITH_AS(verify_files(parse_policy_spec(kDocument), folder.path),
                       doctest::Contains("files/model.ts/crc32"), FormatError);
  std::filesystem::resize_file(folder.path / "policy.json", (16 << 20) + 1);
  CHECK_THROWS_WITH_AS((void)read_policy_spec(folder.path), doctest::Contains("16 MiB"), FormatError);
}

TEST_CASE("CRC-32 is zlib's, from tables and by folding, of every length and in pieces") {
  std::vector<char> bytes(1000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * i * 7 + i / 3);
  const std::string_view digits = "123456789";
  CHECK(crc32_by_tables(digits) == 0xCBF43926U);  // the check value of the catalogue
  for (std::size_t n = 0; n <= bytes.size(); n = n < 300 ? n + 1 : n + 97)
    for (const std::size_t start : {0U, 1U, 15U}) {
      const auto piece = std::span<const char>(bytes).subspan(0, n);
      Crc32 whole, parts;
      whole.add(piece);
      parts.add(piece.first(std::min(start, n)));
      parts.add(piece.subspan(std::min(start, n)));
      CHECK(whole.value() == crc32_by_tables(piece));
      CHECK(parts.value() == whole.value());
    }
}
