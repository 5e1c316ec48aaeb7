#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "vla_rt/core/errors.hpp"
#include "vla_rt/package/policy.hpp"
#include "vla_rt/tokenization/fast_tokenizer.hpp"
#include "vla_rt/tokenization/motion_tokenizer.hpp"
#include "vla_rt/tokenization/openvla_tokenizer.hpp"
#include "vla_rt/tokenization/quantile_tokenizer.hpp"
#include "vla_rt/tokenization/rt1_tokenizer.hpp"
#include "vla_rt/tokenization/uniform_tokenizer.hpp"

using namespace vla_rt;

namespace {

const std::string kBins = R"({"type": "uniform", "low": [-1], "high": [1], "num_bins": 8})";

struct Document {
  std::string tokenizer = kBins;
  int horizon = 2, action_dim = 3, num_tokens = 6, vocab_size = 8;
  std::string stop = "null", parallel = "false", mode = "greedy", files = "{}";

  std::string text() const {
    return R"({"schema_version": 1, "kind": "token", "horizon": )" + std::to_string(horizon) +
           R"(, "action_dim": )" + std::to_string(action_dim) +
           R"(, "execution_horizon": 1, "n_obs_steps": 1, "period_s": 0.05, "precision": "float32",
      "observation": [{"name": "state", "kind": "state", "dtype": "float32", "shape": [1],
                       "normalizer": {"mode": "identity", "convention": "lerobot"}}],
      "action_normalizer": {"mode": "identity", "convention": "lerobot"}, "action_space": null,
      "sampler": {"type": "autoregressive", "num_tokens": )" +
           std::to_string(num_tokens) + R"(, "mode": ")" + mode +
           R"(", "temperature": 1, "top_k": 0, "top_p": 1, "stop_token": )" + stop + R"(, "parallel": )" +
           parallel + R"(, "vocab_size": )" + std::to_string(vocab_size) +
           R"(, "start_token": 5}, "tokenizer": )" + tokenizer + R"(, "backends": ["scripted"], "files": )" +
           files + R"(, "checks": {}})";
  }
};

std::string field_of_error(const Document& document) {
  try {
    (void)parse_policy_spec(document.text());
  } catch (const FormatError& e) {
    return e.name();
  }
  return "no error";
}

/// Wants the tokens of a script, whatever comes before; the logit of id 0 is larger still in `tempted`.
class ScriptedModel final : public Model {
 public:
  ScriptedModel(const PolicySpec& spec, std::vector<std::int64_t> script)
      : signature_(signature_of(spec)), script_(std::move(script)) {}
  std::span<const TensorSpec> observation_spec() const noexcept override { return signature_.observation; }
  int horizon() const noexcept override { return signature_.horizon; }
  int action_dim() const noexcept override { return signature_.action_dim; }
  std::size_t input_size() const noexcept override { return 1; }
  std::size_t output_size() const noexcept override {
    return static_cast<std::size_t>(TensorSpec{"", DType::Float32, signature_.output_shape()}.num_elements());
  }
  std::string backend() const override { return "script"; }
  void prepare(std::span<const double> times) override { times_.assign(times.begin(), times.end()); }
  void encode(std::span<const TensorView> /*observation*/) override { given.clear(); }
  void step(std::span<const float> x, int k, std::span<float> out) override {
    given.push_back(static_cast<std::int64_t>(x[0]));
    CHECK(times_.at(static_cast<std::size_t>(k)) == k);
    const auto vocabulary = static_cast<std::size_t>(signature_.output_shape().back());
    std::ranges::fill(out, 0.0F);
    for (std::size_t i = 0; i * vocabulary < out.size(); ++i) {
      out[i * vocabulary + static_cast<std::size_t>(script_.at(static_cast<std::size_t>(k) + i))] = certainty;
      if (tempted) out[i * vocabulary] = 20;
    }
  }

  bool tempted = false;
  float certainty = 9;
  std::vector<std::int64_t> given;

 private:
  ModelSignature signature_;
  std::vector<std::int64_t> script_;
  std::vector<double> times_;
};

struct Rig {
  explicit Rig(const Document& document, std::vector<std::int64_t> script,
               const std::filesystem::path& folder = {}) {
    const PolicySpec spec = parse_policy_spec(document.text());
    CHECK(parse_policy_spec(to_json(spec)) == spec);
    auto owned = std::make_unique<ScriptedModel>(spec, std::move(script));
    model = owned.get();
    policy = std::make_unique<Policy>(spec, std::move(owned), folder);
    observation.set("state", std::array{1.0});
  }
  std::vector<double> sample() {
    ActionChunk chunk;
    policy->sample(observation, 0, chunk);
    const auto size = static_cast<std::size_t>(chunk.horizon * chunk.action_dim);
    return {chunk.values.begin(), chunk.values.begin() + static_cast<std::ptrdiff_t>(size)};
  }

  ScriptedModel* model = nullptr;
  std::unique_ptr<Policy> policy;
  Observation observation;
};

std::vector<double> decoded(const Tokenizer& tokenizer, const std::vector<std::int64_t>& tokens,
                            std::size_t n) {
  std::vector<double> actions(n);
  tokenizer.decode(tokens, actions);
  return actions;
}

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / ("vla_rt_tokens_" + std::to_string(::getpid()))) {
    std::filesystem::create_directory(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

/// FAST over single bytes: the id of character c is c.
FastTokenizer byte_tokenizer() {
  std::string vocab;
  for (char c = 'a'; c <= 'z'; ++c)
    vocab += std::string(vocab.empty() ? "" : ", ") + "\"" + c + "\": " + std::to_string(c - 'a');
  return {BytePairEncoder::from_json(R"({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "model": {"type": "BPE", "vocab": {)" +
                                     vocab + R"(}, "merges": []}})"),
          {.scale = 1, .min_token = -'m', .vocab_size = 0, .horizon = {}, .action_dim = {}}};
}

}  // namespace

TEST_CASE("each token is drawn after the one before, at first after the start token") {
  const std::vector<std::int64_t> script{1, 7, 0, 3, 2, 6};
  Rig rig(Document{}, script);
  CHECK(rig.sample() == decoded(UniformTokenizer(std::array{-1.0}, std::array{1.0}, 8), script, 6));
  CHECK(rig.model->given == std::vector<std::int64_t>{5, 1, 7, 0, 3, 2});
}

TEST_CASE("parallel decoding asks once") {
  const std::vector<std::int64_t> script{1, 7, 0, 3, 2, 6};
  Rig rig(Document{.parallel = "true"}, script);
  CHECK(rig.sample() == decoded(UniformTokenizer(std::array{-1.0}, std::array{1.0}, 8), script, 6));
  CHECK(rig.model->given == std::vector<std::int64_t>{5});
}

TEST_CASE("every tokenizer turns the tokens of a policy into its actions") {
  {
    const std::vector<std::int64_t> script{31744, 31999, 31800, 31801, 31802, 31803};
    Rig rig(
        {.tokenizer = R"({"type": "openvla", "vocab_size": 32000, "num_bins": 256})", .vocab_size = 32064},
        script);
    rig.model->tempted = true;  // id 0 is a word of the language, and forbidden
    CHECK(rig.sample() == decoded(OpenVlaTokenizer(), script, 6));
  }
  {
    const std::vector<std::int64_t> script{255, 1, 2, 0};
    Rig rig({.tokenizer = R"({"type": "rt1", "low": [-2], "high": [3], "vocab_size": 256, "one_hot": 2})",
             .num_tokens = 4,
             .vocab_size = 256},
            script);
    CHECK(rig.sample() == decoded(Rt1Tokenizer(std::array{-2.0}, std::array{3.0}, 256, 2), script, 6));
    Rig beyond({.tokenizer = R"({"type": "rt1", "low": [-2], "high": [3], "vocab_size": 256, "one_hot": 2})",
                .num_tokens = 4,
                .vocab_size = 256},
               {255, 2, 2, 0});
    CHECK_THROWS_AS(beyond.sample(), ModelError);  // choice 2 of 0..1
  }
  {
    const std::vector<std::int64_t> script{0, 1, 1, 0, 1, 0};
    Rig rig({.tokenizer = R"({"type": "quantile", "edges": [[0, 1, 4], [-1, 0, 0], [2, 3, 5]]})",
             .vocab_size = 2},
            script);
    CHECK(rig.sample() == std::vector<double>{0.5, 0, 4, 0.5, 0, 2.5});
  }
  {
    const std::vector<std::int64_t> script{3, 130, 255, 60, 190, 126};
    Rig rig({.tokenizer = R"({"type": "motion"})", .action_dim = 7, .vocab_size = 256}, script);
    const std::vector<double> actions = rig.sample();
    const MotionTokenizer motion;
    std::array<double, 7> row{};
    motion.decode(std::span(script).first(3), row);
    CHECK(std::ranges::equal(std::span(actions).first(7), row));
    motion.decode(std::span(script).last(3), row, 1);  // closed stays closed
    CHECK(std::ranges::equal(std::span(actions).last(7), row));
    CHECK(actions.back() == 1);
  }
}

TEST_CASE("FAST is read from the package's files and ends at the stop token") {
  const Folder folder;
  const FastTokenizer fast = byte_tokenizer();
  fast.save(folder.path.string());
  const auto listed = [&](const char* name) {
    return R"(")" + std::string(name) + R"(": {"bytes": )" +
           std::to_string(std::filesystem::file_size(folder.path / name)) + R"(, "crc32": "00000000"})";
  };
  const std::string files = "{" + listed("processor_config.json") + ", " + listed("tokenizer.json") + "}";
  const Document document{.tokenizer = R"({"type": "fast", "strict": true})",
                          .num_tokens = 9,
                          .vocab_size = 27,
                          .stop = "26",
                          .files = files};
  const std::vector<std::int64_t> script{12, 0, 25, 13, 14, 11, 26, 0, 0};
  Rig rig(document, script, folder.path);
  std::vector<double> expected(6);
  fast.decode(std::span(script).first(6), 2, 3, true, expected);
  CHECK(rig.sample() == expected);
  CHECK(rig.model->given.size() == 7);

  Rig short_one(document, {12, 0, 25, 13, 14, 26, 0, 0, 0}, folder.path);
  CHECK_THROWS_WITH_AS(short_one.sample(), doctest::Contains("tokens"), ModelError);
  Document relaxed = document;
  relaxed.tokenizer = R"({"type": "fast", "strict": false})";
  Rig repaired(relaxed, {12, 0, 25, 13, 14, 26, 0, 0, 0}, folder.path);
  fast.decode(std::span(script).first(5), 2, 3, false, expected);
  CHECK(repaired.sample() == expected);

  Document small = document;
  small.vocab_size = 20;
  small.stop = "null";
  const PolicySpec spec = parse_policy_spec(small.text());
  CHECK_THROWS_WITH_AS(Policy(spec, std::make_unique<ScriptedModel>(spec, script), folder.path),
                       doctest::Contains("vocab_size"), FormatError);
  std::ofstream(folder.path / "tokenizer.json") << "{}";
  const PolicySpec cut = parse_policy_spec(document.text());
  CHECK_THROWS_AS(Policy(cut, std::make_unique<ScriptedModel>(cut, script), folder.path), FormatError);
}

TEST_CASE("a failed chunk leaves the caller's alone, and a token policy takes no noise") {
  Rig rig(Document{}, {1, 7, 0, 3, 2, 6});
  ActionChunk chunk;
  const std::vector<float> noise(6);
  CHECK_THROWS_AS(rig.policy->sample(rig.observation, 0, chunk, noise), ConfigError);
  CHECK_THROWS_AS(rig.policy->sample(rig.observation, 0, chunk, {}, noise), ConfigError);
  CHECK(chunk.horizon == 0);
}

TEST_CASE("drawn tokens depend on seed and chunk alone") {
  Rig rig(Document{.mode = "sample"}, {1, 7, 0, 3, 2, 6});
  ActionChunk a, b;
  std::map<double, int> seen;
  rig.model->certainty = 1;
  for (std::uint64_t i = 0; i < 300; ++i) {
    rig.policy->sample(rig.observation, {3, i}, a);
    rig.policy->sample(rig.observation, {3, i}, b);
    CHECK(std::equal(a.values.begin(), a.values.begin() + 6, b.values.begin()));
    ++seen[a.values[0]];
  }
  CHECK(seen.size() == 8);
}

TEST_CASE("what is wrong about tokens is named by its place") {
  const std::string root = "policy.json#";
  CHECK(field_of_error({}) == "no error");
  CHECK(field_of_error({.tokenizer = "null"}) == root + "/tokenizer");
  CHECK(field_of_error({.tokenizer = "7"}) == root + "/tokenizer");
  CHECK(field_of_error({.tokenizer = R"({"type": "words"})"}) == root + "/tokenizer/type");
  CHECK(field_of_error({.num_tokens = 5}) == root + "/sampler/num_tokens");
  CHECK(field_of_error({.num_tokens = 100001}) == root + "/sampler/num_tokens");
  CHECK(field_of_error({.vocab_size = 7}) == root + "/sampler/vocab_size");
  CHECK(field_of_error({.vocab_size = 0}) == root + "/sampler/vocab_size");
  CHECK(field_of_error({.stop = "3"}) == root + "/sampler/stop_token");
  CHECK(field_of_error({.stop = "8"}) == root + "/sampler/stop_token");
  CHECK(field_of_error({.mode = "beam"}) == root + "/sampler/mode");
  const auto bins = [](const std::string& fields) {
    return Document{.tokenizer = R"({"type": "uniform", )" + fields + "}"};
  };
  CHECK(field_of_error(bins(R"("low": [-1], "high": [1], "num_bins": 0)")) == root + "/tokenizer/num_bins");
  CHECK(field_of_error(bins(R"("low": [-1], "high": [1], "num_bins": 9999999999)")) ==
        root + "/tokenizer/num_bins");
  CHECK(field_of_error(bins(R"("low": [1], "high": [1], "num_bins": 8)")) == root + "/tokenizer/low[0]");
  CHECK(field_of_error(bins(R"("low": [], "high": [], "num_bins": 8)")).starts_with(root + "/tokenizer"));
  CHECK(field_of_error(bins(R"("low": [-1, -1], "high": [1, 1], "num_bins": 8)")) == root + "/tokenizer");
  CHECK(field_of_error(bins(R"("low": [-1], "high": [1], "num_bins": 8, "bins": 1)")) ==
        root + "/tokenizer/bins");
  CHECK(field_of_error({.tokenizer = R"({"type": "quantile", "edges": [[0, 1], [0]]})"}) ==
        root + "/tokenizer/edges/1");
  CHECK(field_of_error({.tokenizer = R"({"type": "quantile", "edges": [[0, 1], [0, -1], [0, 1]]})"}) ==
        root + "/tokenizer/edges[3]");
  CHECK(field_of_error({.tokenizer = R"({"type": "quantile", "edges": []})"}) == root + "/tokenizer/edges");
  CHECK(field_of_error({.tokenizer = R"({"type": "motion"})", .vocab_size = 256}) == root + "/tokenizer");
  CHECK(field_of_error(
            {.tokenizer = R"({"type": "motion"})", .action_dim = 7, .num_tokens = 5, .vocab_size = 256}) ==
        root + "/sampler/num_tokens");
  CHECK(field_of_error({.tokenizer = R"({"type": "fast", "strict": true})"}) ==
        root + "/files/processor_config.json");
  CHECK(field_of_error({.tokenizer = R"({"type": "fast", "strict": 1})"}) == root + "/tokenizer/strict");
  CHECK(field_of_error(
            {.tokenizer = R"({"type": "rt1", "low": [-1], "high": [1], "vocab_size": 256, "one_hot": 65})",
             .num_tokens = 4}) == root + "/tokenizer/one_hot");
}

TEST_CASE("a tokenizer without a sampler of tokens is refused") {
  std::string text = Document{}.text();
  const std::size_t begin = text.find(R"({"type": "autoregressive")"), end = text.find('}', begin) + 1;
  text.replace(begin, end - begin,
               R"({"type": "flow_matching", "num_steps": 4, "solver": "euler", "noise_at": 0})");
  CHECK_THROWS_WITH_AS((void)parse_policy_spec(text), doctest::Contains("policy.json#/tokenizer"),
                       FormatError);
}
