#include "vla_rt/package/policy.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "package/policy_parts.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/inference/backend_registry.hpp"
#include "vla_rt/sampling/model_denoiser.hpp"

namespace vla_rt {
namespace {

constexpr std::array kPreferred = {"native", "torchscript"};

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
  const ModelSignature wanted = signature_of(spec);
  const auto size = [](const std::vector<std::int64_t>& shape) {
    return static_cast<std::size_t>(TensorSpec{"", DType::Float32, shape}.num_elements());
  };
  if (!std::ranges::equal(model.observation_spec(), wanted.observation) || model.horizon() != spec.horizon ||
      model.action_dim() != spec.network_dim() || model.input_size() != size(wanted.input_shape()) ||
      model.output_size() != size(wanted.output_shape()))
    throw ConfigError("model", model.backend(),
                      "does not have the inputs, horizon, action_dim and answer of the spec");
}

}  // namespace

Policy::Impl::Impl(PolicySpec s, std::unique_ptr<Model> m, const std::filesystem::path& folder)
    : spec(std::move(s)),
      model(std::move(m)),
      backend(model->backend()),
      sampler(make_sampler(spec.sampler)),
      action_normalizer(spec.action_normalizer),
      columns(static_cast<std::size_t>(spec.action_dim)),
      generated(static_cast<std::size_t>(spec.network_dim())),
      size(static_cast<std::size_t>(spec.horizon) * generated),
      x(size),
      actions(static_cast<std::size_t>(spec.horizon) * columns),
      previous(size) {
  for (const FeatureSpec& feature : spec.observation) features.emplace_back(feature, spec.n_obs_steps);
  for (const FeatureInput& feature : features) views.push_back(feature.view());
  if (sampler) {
    scratch.resize(sampler->scratch_size(size));
  } else {
    tokens = std::make_unique<TokenLoop>(spec, folder, *model);
  }
  model->prepare(sampler ? sampler->stage_times() : tokens->stage_times());
}

void Policy::Impl::run(const Observation& observation, const NoiseSource& source,
                       std::span<const float> noise, std::span<const float> step_noise,
                       const Continuation* continuation) {
  if (tokens) {
    if (!noise.empty() || !step_noise.empty() || continuation)
      throw ConfigError(!noise.empty() ? "noise"
                        : continuation ? "guidance"
                                       : "step_noise",
                        "", "must be empty for a token policy");
    for (FeatureInput& feature : features) feature.read(observation);
    model->encode(views);
    tokens->run(source, actions);
    action_normalizer.denormalize(actions, actions);
    return;
  }
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
  take_columns();
  action_normalizer.denormalize(actions, actions);
}

Guidance& Policy::Impl::aim(const Continuation& continuation) {
  ChunkPrefix prefix = continuation.prefix;
  const auto given = prefix.values.size();
  const std::size_t past = static_cast<std::size_t>(spec.first_row) * columns;
  if (prefix.batch != 1 || given > actions.size() - past ||
      given != static_cast<std::size_t>(prefix.rows) * columns)
    throw ConfigError("previous", std::to_string(given) + " values",
                      "must be at most " + std::to_string(spec.chunk_rows()) + " rows of " +
                          std::to_string(spec.action_dim));
  const std::span<double> normalized = std::span(previous).subspan(past, given);
  action_normalizer.normalize(prefix.values, normalized);
  if (past > 0 && given > 0) {
    // rows of the past, which nobody will execute: held, like those beyond the end
    for (std::size_t i = 0; i < past; ++i) previous[i] = normalized[i % columns];
    prefix.rows += spec.first_row;
    prefix.delay += spec.first_row;
    prefix.end += spec.first_row;
  }
  const std::size_t rows = given > 0 ? (past + given) / columns : 0;
  widen(rows);
  prefix.values = std::span(previous).first(rows * generated);
  if (continuation.options.jacobian == GuidanceJacobian::Vjp) model->prepare_vjp();
  if (!guidance || guidance->options() != continuation.options) guidance.emplace(continuation.options);
  guidance->aim(prefix, 1, spec.horizon, spec.network_dim());
  return *guidance;
}

void Policy::Impl::take_columns() noexcept {
  for (std::size_t i = 0, o = 0; o < actions.size(); i += generated, o += columns)
    std::copy_n(x.begin() + static_cast<std::ptrdiff_t>(i), columns,
                actions.begin() + static_cast<std::ptrdiff_t>(o));
}

void Policy::Impl::widen(std::size_t rows) noexcept {
  if (generated == columns) return;
  for (std::size_t row = rows; row-- > 0;) {  // from the last on, so that none is overwritten
    const auto from = previous.begin() + static_cast<std::ptrdiff_t>(row * columns);
    const auto to = previous.begin() + static_cast<std::ptrdiff_t>(row * generated + columns);
    std::copy_backward(from, from + static_cast<std::ptrdiff_t>(columns), to);
    std::fill_n(to, generated - columns, 0.0);
  }
}

std::unique_ptr<Policy> Policy::load(const std::filesystem::path& folder, const std::string& backend,
                                     int threads) {
  PolicySpec spec = read_policy_spec(folder);
  const std::string chosen = choose_backend(spec, backend);
  if (threads != 1 && chosen != "native")
    throw ModelError("threads", std::to_string(threads), "must be 1 for the backend " + chosen);
  verify_files(spec, folder);
  ModelSignature signature = signature_of(spec);
  signature.threads = threads;
  auto model = open_model(chosen, folder, signature);
  return std::make_unique<Policy>(std::move(spec), std::move(model), folder);
}

Policy::Policy(PolicySpec spec, std::unique_ptr<Model> model, const std::filesystem::path& folder) {
  if (!model) throw ConfigError("model", "null", "must be a model");
  spec = parse_policy_spec(to_json(spec));  // one gate for specs from files and from programs
  require_fit(spec, *model);
  impl_ = std::make_unique<Impl>(std::move(spec), std::move(model), folder);
}

Policy::~Policy() = default;

const PolicySpec& Policy::spec() const noexcept { return impl_->spec; }
const std::string& Policy::backend() const noexcept { return impl_->backend; }

void Policy::prepare_vjp() {
  const std::lock_guard lock(impl_->mutex);
  impl_->model->prepare_vjp();
}

void Policy::sample(const Observation& observation, const NoiseSource& source, ActionChunk& chunk,
                    std::span<const float> noise, std::span<const float> step_noise,
                    const Continuation* continuation) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->in_pieces)
    throw VlaRtError("the policy runs inside a control tick; load it once more to use it elsewhere");
  impl_->run(observation, source, noise, step_noise, continuation);
  const PolicySpec& spec = impl_->spec;
  chunk.resize(spec.chunk_rows(), spec.action_dim);
  chunk.start_time_ns = observation.time_ns;
  chunk.period_ns = from_seconds(spec.period_s);
  std::copy(impl_->actions.begin() + static_cast<std::ptrdiff_t>(spec.first_row) * spec.action_dim,
            impl_->actions.end(), chunk.values.begin());
}

}  // namespace vla_rt
