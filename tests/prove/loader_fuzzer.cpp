// loader_fuzzer.cpp: packages nobody vouches for, by the million: every answer is a network or one of our
// errors.
//
//   loader_fuzzer [--count N] [--seed S] [--from I]
//
// Execution i depends on (S, i) alone, so that `--from I --count 1` repeats one. It changes a small package
// that uses every operation: plan.json, model.safetensors or policy.json; their trees (numbers, shapes,
// offsets, names, order, depth) or their bytes (flipped, cut, doubled). What loads is run, backwards too.
// Exits 1, naming the execution, for an exception that is none of ours; sanitizers and the alarm end it for
// the rest.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "package/json_field.hpp"
#include "package/native_backend.hpp"
#include "package/policy_documents.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/package/policy_spec.hpp"

using namespace vla_rt;

namespace {

constexpr unsigned kHang = 60;  // seconds that one execution may take, sanitizers and a busy machine included

class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t index) : state_(seed * 0x9E3779B97F4A7C15 + index) { (*this)(); }
  std::uint64_t operator()() {  // splitmix64
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>((*this)() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

/// A package of a plan and its weights, built operation by operation.
struct Package {
  Json plan = {{"schema_version", 1},      {"buffers", Json::array()}, {"views", Json::array()},
               {"prepare", Json::array()}, {"encode", Json::array()},  {"step", Json::array()}};
  Json header = Json::object();
  std::string data;

  int view(int buffer, const std::vector<int>& shape, int offset = 0) {
    std::vector<int> strides(shape.size(), 1);
    for (std::size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
    plan["views"].push_back({{"buffer", buffer}, {"offset", offset}, {"shape", shape}, {"strides", strides}});
    return static_cast<int>(plan["views"].size()) - 1;
  }
  static int count(const std::vector<int>& shape) {
    int n = 1;
    for (const int extent : shape) n *= extent;
    return n;
  }
  int tensor(const char* role, const std::vector<int>& shape) {
    plan["buffers"].push_back({{"role", role}, {"size", count(shape)}});
    return view(static_cast<int>(plan["buffers"].size()) - 1, shape);
  }
  int weight(const std::vector<int>& shape, const std::string& dtype = "F32") {
    const std::string name = "w" + std::to_string(header.size());
    const std::size_t begin = data.size(), width = dtype == "F32" ? 4 : dtype == "BF16" ? 2 : 1;
    for (int i = 0; i < count(shape); ++i) {
      const float value = 0.1F * static_cast<float>(i % 7 - 3);
      std::uint32_t bits = 0;
      std::memcpy(&bits, &value, 4);
      const std::uint32_t stored = width == 4   ? bits
                                   : width == 2 ? bits >> 16
                                                : static_cast<std::uint32_t>(i % 7);
      data.append(reinterpret_cast<const char*>(&stored), width);
    }
    header[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
    while (data.size() % 4 != 0) data += '\0';
    plan["buffers"].push_back({{"role", "weight"}, {"tensor", name}});
    return view(static_cast<int>(plan["buffers"].size()) - 1, shape);
  }
  void add(const char* stage, const char* op, const std::vector<int>& inputs, int output,
           Json more = Json::object()) {
    more["op"] = op;
    more["inputs"] = inputs;
    more["output"] = output;
    plan[stage].push_back(std::move(more));
  }

  static Package of_every_operation() {
    Package p;
    const int time = p.tensor("time", {1, 1}), seen = p.tensor("observation", {1, 4});
    const int x = p.tensor("input", {4, 4}), answer = p.tensor("answer", {4, 4});
    const int row = p.tensor("row", {1, 4}), context = p.tensor("context", {1, 4});
    const int cache = p.tensor("context", {1, 3, 4});
    p.add("prepare", "linear", {time, p.weight({4, 1})}, row, {{"function", "mish"}});
    p.add("encode", "linear", {seen, p.weight({4, 4}), p.weight({4})}, context);
    p.add("encode", "elementwise", {p.weight({1})}, cache, {{"function", "copy"}});
    const auto temporary = [&](const std::vector<int>& shape) { return p.tensor("temporary", shape); };
    const auto seen_as = [&](int v, const std::vector<int>& shape) {
      return p.view(p.plan["views"][static_cast<std::size_t>(v)]["buffer"], shape);
    };
    const int both = temporary({1, 4}), wide = temporary({4, 4}), normal = temporary({4, 4});
    p.add("step", "elementwise", {row, context}, both, {{"function", "add"}});
    p.add("step", "linear", {x, p.weight({4, 4}), seen_as(both, {4})}, wide, {{"function", "gelu"}});
    p.add("step", "layer_norm", {wide, p.weight({4}), p.weight({4})}, normal, {{"epsilon", {1e-5}}});
    const int convolved = temporary({1, 2, 4}), grown = temporary({4, 4}), grouped = temporary({4, 4});
    p.add("step", "convolution", {seen_as(normal, {1, 4, 4}), p.weight({4, 4, 1, 3}), p.weight({4})},
          convolved, {{"stride", {1, 2}}, {"padding", {0, 1}}, {"dilation", {1, 1}}});
    p.add("step", "transposed_convolution", {seen_as(convolved, {2, 4}), p.weight({4, 4, 4})}, grown,
          {{"stride", {2}}, {"padding", {1}}, {"function", "silu"}});
    p.add("step", "group_norm",
          {grown, p.weight({4}), p.weight({4}), seen_as(both, {4}), seen_as(context, {4}), wide}, grouped,
          {{"groups", {2}}, {"epsilon", {1e-5}}, {"function", "mish"}});
    const int attended = temporary({2, 4, 2}), soft = temporary({4, 4}), sums = temporary({4});
    const int multiplied = temporary({1, 4, 4}), picked = temporary({2, 4});
    p.add("step", "attention",
          {seen_as(grouped, {2, 4, 2}), seen_as(grouped, {2, 4, 2}), seen_as(wide, {2, 4, 2})}, attended,
          {{"scale", {0.7}}, {"causal", {1}}});
    p.add("step", "softmax", {seen_as(attended, {4, 4})}, soft);
    p.add("step", "reduce", {soft}, sums, {{"function", "mean"}});
    p.add("step", "product", {seen_as(soft, {1, 4, 4}), seen_as(grouped, {1, 4, 4})}, multiplied);
    p.add("step", "gather", {seen_as(context, {2, 2}), p.weight({4})},
          p.view(8, {4, 2}));  // unused rows of `wide`
    p.plan["step"].erase(p.plan["step"].size() - 1);
    p.add("step", "gather", {p.weight({3, 4}), p.weight({2})}, picked);
    p.add("step", "scatter", {seen_as(context, {1, 4}), p.weight({1})}, cache);
    const int small = temporary({4, 4}), byte = temporary({4, 4});
    p.add("step", "linear", {seen_as(multiplied, {4, 4}), p.weight({4, 4}, "BF16")}, small);
    p.plan["step"].back()["inputs"].push_back(-1);
    p.add("step", "linear", {small, p.weight({4, 4}, "I8"), -1, p.weight({4})}, byte);
    p.add("step", "elementwise", {byte, seen_as(sums, {4, 1}), seen_as(cache, {3, 4})}, answer,
          {{"function", "where"}});
    p.plan["step"].back()["inputs"][2] = wide;
    return p;
  }
};

std::string text_of(const Json& value) { return value.dump(-1, ' ', true, Json::error_handler_t::replace); }

void collect(Json& value, std::vector<Json*>& places) {
  places.push_back(&value);
  if (value.is_structured())
    for (Json& inner : value) collect(inner, places);
}

/// Sizes between a million and 2^28 are left out: they are allowed, and take a second each.
Json weird(Random& random) {
  static const std::vector<Json> kWeird = {nullptr,
                                           true,
                                           -1,
                                           0,
                                           1,
                                           2,
                                           3,
                                           5,
                                           7,
                                           16,
                                           17,
                                           255,
                                           4096,
                                           99'999,
                                           (1U << 28) + 1,
                                           1U << 31,
                                           4294967295U,
                                           9223372036854775807,
                                           std::uint64_t{1} << 63,
                                           ~std::uint64_t{0},
                                           -9223372036854775807,
                                           1e308,
                                           -0.0,
                                           0.5,
                                           1e-320,
                                           "",
                                           "x",
                                           std::string("\0", 1),
                                           std::string(300, 'a'),
                                           "../../etc/passwd",
                                           "copy",
                                           "weight",
                                           Json::array(),
                                           Json::object(),
                                           Json{{"a", 1}},
                                           Json::array({nullptr}),
                                           Json::array({-1, -1, -1}),
                                           Json(std::vector<int>(70, 1))};
  return kWeird[random.below(kWeird.size())];
}

void change_tree(Json& root, Random& random) {
  std::vector<Json*> places;
  collect(root, places);
  Json& here = *places[random.below(places.size())];
  const Json& other = *places[random.below(places.size())];
  switch (random.below(8)) {
    case 0:
      here = weird(random);
      break;
    case 1:
      if (here.is_number_integer())
        here = here.get<std::int64_t>() + static_cast<std::int64_t>(random.below(5)) - 2;
      break;
    case 2:
      if (here.is_structured() && !here.empty())
        here.erase(std::next(here.begin(), static_cast<long>(random.below(here.size()))));
      break;
    case 3:
      if (here.is_array() && !here.empty())
        here.insert(here.begin() + static_cast<long>(random.below(here.size())),
                    Json(here[random.below(here.size())]));
      break;
    case 4:
      if (&here != &root) here = Json(other);
      break;
    case 5:
      if (here.is_object()) here[random.one_in(2) ? "function" : "x"] = weird(random);
      break;
    case 6: {
      Json deep = here;
      for (std::size_t i = random.below(40); i > 0; --i)
        deep = random.one_in(2) ? Json::array({deep}) : Json{{"d", deep}};
      here = deep;
      break;
    }
    case 7:
      if (here.is_number()) {
        for (Json* place : places)  // another number of the same document
          if (place->is_number() && random.one_in(20)) {
            here = Json(*place);
            break;
          }
      } else if (here.is_string()) {
        for (Json* place : places)
          if (place->is_string() && random.one_in(10)) {
            here = Json(*place);
            break;
          }
      }
      break;
  }
}

void change_bytes(std::string& bytes, Random& random) {
  if (bytes.empty()) return;
  const std::size_t at = random.below(bytes.size()),
                    n = random.below(std::min<std::size_t>(64, bytes.size() - at) + 1);
  switch (random.below(4)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
      break;
    case 1:
      bytes.resize(at);
      break;
    case 2:
      bytes.insert(random.below(bytes.size()), bytes.substr(at, n));
      break;
    case 3:
      bytes.replace(at, n, n, static_cast<char>(random()));
      break;
  }
}

/// The file, ending with its page: what is read behind its last tensor is no memory.
std::string safetensors(const Json& header, const std::string& data, Random& random) {
  std::string text = text_of(header);
  while ((8 + text.size() + data.size()) % 4096 != 0) text += ' ';
  std::uint64_t length = text.size();
  if (random.one_in(20)) length = random.one_in(2) ? random() : length + random.below(64) - 32;
  std::string file(reinterpret_cast<const char*>(&length), 8);
  return file + text + data;
}

void write_file(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

struct Counts {
  std::uint64_t loaded = 0, refused = 0, differentiated = 0;
};

class Fuzzer {
 public:
  explicit Fuzzer(std::filesystem::path folder) : folder_(std::move(folder)) {
    Random none(0, 0);
    good_plan_ = text_of(package_.plan);
    do good_weights_ = safetensors(package_.header, package_.data, none);
    while (std::memcmp(good_weights_.data(), safetensors(package_.header, package_.data, none).data(), 8) !=
           0);
    restore();
    load_and_run();  // the package itself must work, or nothing would be tried
  }

  void execute(Random& random) {
    const std::size_t kind = random.below(10);
    if (kind < 2) return policy(random);
    if (kind < 4) {
      Json header = package_.header;
      for (std::size_t n = random.below(4); n > 0; --n) change_tree(header, random);
      std::string file = safetensors(header, package_.data, random);
      if (random.one_in(4)) change_bytes(file, random);
      write_file(folder_ / "model.safetensors", file);
    } else {
      Json plan = package_.plan;
      for (std::size_t n = 1 + random.below(3); n > 0; --n) change_tree(plan, random);
      std::string text = text_of(plan);
      if (random.one_in(10)) change_bytes(text, random);
      write_file(folder_ / "plan.json", text);
    }
    try {
      load_and_run();
    } catch (const VlaRtError&) {
      ++counts.refused;
    }
    restore(kind < 4);
  }

  Counts counts;

 private:
  void restore(bool weights) {
    write_file(folder_ / (weights ? "model.safetensors" : "plan.json"), weights ? good_weights_ : good_plan_);
  }
  void restore() {
    restore(true);
    restore(false);
  }

  void load_and_run() {
    const auto model = open_native_model(folder_, signature_);
    ++counts.loaded;
    const std::array<double, 2> times{0.25, 0.75};
    model->prepare(times);
    const std::vector<float> seen{0.5F, -1, 3, 1e-40F}, x(16, 0.3F);
    std::vector<float> answer(16);
    const std::vector<std::int64_t> shape{4};
    const TensorView view{seen.data(), DType::Float32, shape};
    model->encode({&view, 1});
    for (int k = 0; k < 2; ++k) model->step(x, k, answer);
    try {
      model->prepare_vjp();
      model->step_vjp(x, 1, std::vector<float>(16, 0.1F), answer);
      ++counts.differentiated;
    } catch (const ModelError&) {
    }
  }

  void policy(Random& random) {
    Json document = Json::parse(testing::kDocument);
    for (std::size_t n = random.below(4); n > 0; --n) change_tree(document, random);
    std::string text = text_of(document);
    if (random.one_in(4)) change_bytes(text, random);
    try {
      const PolicySpec spec = parse_policy_spec(text);
      if (!(parse_policy_spec(to_json(spec)) == spec))
        throw std::runtime_error("policy.json does not come back as it was");
      ++counts.loaded;
    } catch (const VlaRtError&) {
      ++counts.refused;
    }
  }

  Package package_ = Package::of_every_operation();
  std::string good_plan_, good_weights_;
  std::filesystem::path folder_;
  ModelSignature signature_{{{"o", DType::Float32, {4}}}, 4, 4};
};

std::uint64_t now_at = 0, seed = 1;

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t count = 100'000, from = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    (flag == "--count"  ? count
     : flag == "--seed" ? seed
                        : from) = static_cast<std::uint64_t>(std::strtod(argv[i + 1], nullptr));
  }
  signal(SIGALRM, [](int) {
    std::fprintf(stderr, "loader_fuzzer: execution %llu of seed %llu hangs\n",
                 static_cast<unsigned long long>(now_at), static_cast<unsigned long long>(seed));
    std::abort();
  });
  const std::filesystem::path memory = "/dev/shm";
  const auto folder =
      (std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path()) /
      ("vla_rt_fuzz_" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  int code = 0;
  double slowest = 0;
  const TimeNs begin = steady_now();
  try {
    Fuzzer fuzzer(folder);
    for (std::uint64_t i = from; i < from + count; ++i) {
      now_at = i;
      alarm(kHang);
      const TimeNs start = steady_now();
      Random random(seed, i);
      fuzzer.execute(random);
      slowest = std::max(slowest, to_seconds(steady_now() - start));
    }
    alarm(0);
    const Counts& c = fuzzer.counts;
    std::printf(
        "%llu executions in %.0f s (slowest %.3f s): %llu loaded, %llu differentiated, %llu refused\n",
        static_cast<unsigned long long>(count), to_seconds(steady_now() - begin), slowest,
        static_cast<unsigned long long>(c.loaded), static_cast<unsigned long long>(c.differentiated),
        static_cast<unsigned long long>(c.refused));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "loader_fuzzer: execution %llu of seed %llu: %s\n",
                 static_cast<unsigned long long>(now_at), static_cast<unsigned long long>(seed),
                 error.what());
    code = 1;
  }
  std::filesystem::remove_all(folder);
  return code;
}
