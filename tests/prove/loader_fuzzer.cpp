// loader_fuzzer.cpp: packages nobody vouches for, by the million: every answer is a network or one of our
// errors.
//
// Changes a small package that uses every operation: plan.json, model.safetensors or policy.json; their trees
// (numbers, shapes, offsets, names, order, depth) or their bytes. What loads is run, backwards too.
#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "every_operation.hpp"
#include "fuzzing.hpp"
#include "package/native_backend.hpp"
#include "package/policy_documents.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/package/policy_spec.hpp"

using namespace vla_rt;
using namespace vla_rt::fuzzing;

namespace {

/// The file, ending within a page: the sanitizer sees what is read behind its last tensor.
std::string safetensors(const Json& header, const std::string& data, Random& random) {
  std::string text = text_of(header);
  while ((8 + text.size() + data.size()) % 4096 != 2048) text += ' ';
  std::uint64_t length = text.size();
  if (random.one_in(20)) length = random.one_in(2) ? random() : length + random.below(64) - 32;
  std::string file(reinterpret_cast<const char*>(&length), 8);
  return file + text + data;
}

/// Moves one tensor as a whole: the span still fits its shape, what matters is where it ends.
void move_tensor(Json& header, Random& random) {
  static constexpr std::int64_t kSteps[] = {-64, -4, -1, 1, 4, 16, 64, 4096, 1 << 20, INT64_C(1) << 39};
  auto tensor = std::next(header.begin(), static_cast<long>(random.below(header.size())));
  const std::int64_t by = kSteps[random.below(std::size(kSteps))];
  for (Json& end : tensor.value()["data_offsets"]) end = end.get<std::int64_t>() + by;
}

class Loader final : public Target {
 public:
  explicit Loader(std::filesystem::path folder) : folder_(std::move(folder)) {
    Random none(0, 0);
    good_plan_ = text_of(package_.plan);
    do good_weights_ = safetensors(package_.header, package_.data, none);
    while (std::memcmp(good_weights_.data(), safetensors(package_.header, package_.data, none).data(), 8) !=
           0);
    restore();
    load_and_run();  // the package itself must work, or nothing would be tried
  }

  void execute(Random& random) override {
    const std::size_t kind = random.below(10);
    if (kind < 2) return policy(random);
    if (kind < 4) {
      Json header = package_.header;
      if (random.one_in(3)) move_tensor(header, random);
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
      ++refused_;
    }
    restore(kind < 4);
  }

  [[nodiscard]] std::string summary() const override {
    return std::to_string(loaded_) + " loaded, " + std::to_string(differentiated_) + " differentiated, " +
           std::to_string(refused_) + " refused";
  }

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
    ++loaded_;
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
      ++differentiated_;
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
      ++loaded_;
    } catch (const VlaRtError&) {
      ++refused_;
    }
  }

  EveryOperation package_ = EveryOperation::package();
  std::uint64_t loaded_ = 0, refused_ = 0, differentiated_ = 0;
  std::string good_plan_, good_weights_;
  std::filesystem::path folder_;
  ModelSignature signature_{{{"o", DType::Float32, {4}}}, 4, 4};
};

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, [](const auto& folder) { return std::make_unique<Loader>(folder); });
}
