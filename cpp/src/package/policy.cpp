#include "vla_rt/package/policy.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "package/feature_input.hpp"
#include "vla_rt/action_space/normalizer.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/inference/backend_registry.hpp"

namespace vla_rt {
namespace {

constexpr std::array kPreferred = {"native", "torchscript"};

class ModelDenoiser final : public Denoiser {
 public:
  explicit ModelDenoiser(Model& model) : model_(model) {}
  void evaluate(std::span<const float> x, int stage, double /*t*/, std::span<float> out) override {
    model_.step(x, stage, out);
  }
  [[nodiscard]] bool has_vjp() const noexcept override { return model_.has_vjp(); }
  void vjp(std::span<const float> x, int stage, double /*t*/, std::span<const float> c,
           std::span<float> out) override {
    model_.step_vjp(x, stage, c, out);
  }

 private:
  Model& model_;
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? "none" : text;
}

std::string choose_backend(const PolicySpec& spec, const std::string& wanted) {
  const auto in_package = [&](const std::string& name) {
    return std::ranges::count(spec.backends, name) > 0;
  };
  if (!wanted.empty()) {
    if (!in_package(wanted)) throw ModelError("backend", wanted, "the package has " + joined(spec.backends));
    return wanted;
  }
  for (const char* name : kPreferred)
    if (in_package(name) && has_backend(name)) return name;
  throw ModelError(
      "backend", "",
      "the package has " + joined(spec.backends) + ", this process knows " + joined(backend_names()));
}

void require_fit(const PolicySpec& spec, const Model& model) {
  const auto inputs = model.observation_spec();
  const bool same_inputs =
      std::ranges::equal(inputs, spec.observation, {}, {}, [](const FeatureSpec& f) { return f.tensor; });
  if (!same_inputs || model.horizon() != spec.horizon || model.action_dim() != spec.action_dim)
    throw ConfigError("model", model.backend(),
                      "does not have the inputs, horizon and action_dim of the spec");
}

}  // namespace

struct Policy::Impl {
  Impl(PolicySpec s, std::unique_ptr<Model> m)
      : spec(std::move(s)),
        model(std::move(m)),
        backend(model->backend()),
        sampler(make_sampler(spec.sampler)),
        action_normalizer(spec.action_normalizer),
        size(static_cast<std::size_t>(spec.horizon) * static_cast<std::size_t>(spec.action_dim)),
        x(size),
        scratch(sampler->scratch_size(size)),
        actions(size),
        previous(size) {
    for (const FeatureSpec& feature : spec.observation) features.emplace_back(feature);
    for (const FeatureInput& feature : features) views.push_back(feature.view());
    model->prepare(sampler->stage_times());
  }

  void run(const Observation& observation, const NoiseSource& source, std::span<const float> noise,
           std::span<const float> step_noise, const Continuation* continuation) {
    Guidance* const guide = continuation ? &aim(*continuation) : nullptr;
    for (FeatureInput& feature : features) feature.read(observation);
    if (noise.empty()) {
      fill_noise(source, 0, x);
    } else {
      if (noise.size() != size)
        throw ConfigError("noise", std::to_string(noise.size()) + " values",
                          "must have " + std::to_string(size));
      std::ranges::copy(noise, x.begin());
    }
    model->encode(views);
    ModelDenoiser denoiser(*model);
    sampler->sample(denoiser, x, source, step_noise, scratch, guide);
    std::ranges::copy(x, actions.begin());
    action_normalizer.denormalize(actions, actions);
  }

  Guidance& aim(const Continuation& continuation) {
    ChunkPrefix prefix = continuation.prefix;
    const auto given = prefix.values.size();
    if (prefix.batch != 1 || given > size ||
        given != static_cast<std::size_t>(prefix.rows) * static_cast<std::size_t>(spec.action_dim))
      throw ConfigError(
          "previous", std::to_string(given) + " values",
          "must be at most " + std::to_string(spec.horizon) + " rows of " + std::to_string(spec.action_dim));
    const std::span<double> normalized = std::span(previous).first(given);
    action_normalizer.normalize(prefix.values, normalized);
    prefix.values = normalized;
    if (!guidance || guidance->options() != continuation.options) guidance.emplace(continuation.options);
    guidance->aim(prefix, 1, spec.horizon, spec.action_dim);
    return *guidance;
  }

  const PolicySpec spec;
  std::unique_ptr<Model> model;
  const std::string backend;
  std::unique_ptr<const Sampler> sampler;
  Normalizer action_normalizer;
  std::size_t size;  // T * D
  std::vector<FeatureInput> features;
  std::vector<TensorView> views;
  std::vector<float> x, scratch;
  std::vector<double> actions, previous;
  std::optional<Guidance> guidance;  // made with the first continuation
  std::mutex mutex;
};

std::unique_ptr<Policy> Policy::load(const std::filesystem::path& folder, const std::string& backend) {
  PolicySpec spec = read_policy_spec(folder);
  ModelSignature signature{{}, spec.horizon, spec.action_dim};
  for (const FeatureSpec& feature : spec.observation) signature.observation.push_back(feature.tensor);
  auto model = open_model(choose_backend(spec, backend), folder, signature);
  return std::make_unique<Policy>(std::move(spec), std::move(model));
}

Policy::Policy(PolicySpec spec, std::unique_ptr<Model> model) {
  if (!model) throw ConfigError("model", "null", "must be a model");
  spec = parse_policy_spec(to_json(spec));  // one gate for specs from files and from programs
  require_fit(spec, *model);
  impl_ = std::make_unique<Impl>(std::move(spec), std::move(model));
}

Policy::~Policy() = default;

const PolicySpec& Policy::spec() const noexcept { return impl_->spec; }
const std::string& Policy::backend() const noexcept { return impl_->backend; }

void Policy::sample(const Observation& observation, const NoiseSource& source, ActionChunk& chunk,
                    std::span<const float> noise, std::span<const float> step_noise,
                    const Continuation* continuation) {
  const std::lock_guard lock(impl_->mutex);
  impl_->run(observation, source, noise, step_noise, continuation);
  chunk.resize(impl_->spec.horizon, impl_->spec.action_dim);
  chunk.start_time_ns = observation.time_ns;
  chunk.period_ns = from_seconds(impl_->spec.period_s);
  std::ranges::copy(impl_->actions, chunk.values.begin());
}

}  // namespace vla_rt
