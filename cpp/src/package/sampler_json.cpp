#include <string>

#include "package/spec_json.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/sampling/ddpm_sampler.hpp"

namespace vla_rt {
namespace {

struct Maker {
  std::unique_ptr<const Sampler> operator()(const FlowMatchingOptions& o) const {
    return std::make_unique<FlowMatchingSampler>(o);
  }
  std::unique_ptr<const Sampler> operator()(const DiffusionOptions& o) const {
    return std::make_unique<DDPMSampler>(o);
  }
  std::unique_ptr<const Sampler> operator()(const DDIMOptions& o) const {
    return std::make_unique<DDIMSampler>(o);
  }
  std::unique_ptr<const Sampler> operator()(const DPMSolverOptions& o) const {
    return std::make_unique<DPMSolverSampler>(o);
  }
  std::unique_ptr<const Sampler> operator()(const ConsistencyOptions& o) const {
    return std::make_unique<ConsistencySampler>(o);
  }
  std::unique_ptr<const Sampler> operator()(const DirectOptions& o) const {
    return std::make_unique<DirectSampler>(o);
  }
  std::unique_ptr<const Sampler> operator()(const AutoregressiveSpec& o) const {
    o.validate();
    return nullptr;
  }
};

struct Writer {
  static Json common(const char* type, const DiffusionOptions& o) {
    return {{"type", type},
            {"num_train_steps", o.num_train_steps},
            {"beta_schedule", to_string(o.beta_schedule)},
            {"beta_start", o.beta_start},
            {"beta_end", o.beta_end},
            {"prediction", to_string(o.prediction)},
            {"clip_sample", o.clip_sample},
            {"clip_range", o.clip_range},
            {"num_steps", o.num_steps},
            {"timestep_spacing", to_string(o.timestep_spacing)},
            {"steps_offset", o.steps_offset}};
  }
  Json operator()(const FlowMatchingOptions& o) const {
    Json json = {{"type", "flow_matching"},
                 {"num_steps", o.num_steps},
                 {"solver", to_string(o.solver)},
                 {"noise_at", o.noise_at}};
    if (o.max_delay != 0) json["max_delay"] = o.max_delay;
    return json;
  }
  Json operator()(const DiffusionOptions& o) const { return common("ddpm", o); }
  Json operator()(const DDIMOptions& o) const {
    Json json = common("ddim", o);
    json["eta"] = o.eta;
    json["set_alpha_to_one"] = o.set_alpha_to_one;
    return json;
  }
  Json operator()(const DPMSolverOptions& o) const {
    Json json = common("dpm_solver", o);
    json["algorithm_type"] = to_string(o.algorithm_type);
    json["solver_order"] = o.solver_order;
    json["solver_type"] = to_string(o.solver_type);
    json["lower_order_final"] = o.lower_order_final;
    json["final_sigmas_type"] = to_string(o.final_sigmas_type);
    json["use_karras_sigmas"] = o.use_karras_sigmas;
    return json;
  }
  Json operator()(const ConsistencyOptions& o) const {
    return {{"type", "consistency"},
            {"num_steps", o.num_steps},
            {"sigma_min", o.sigma_min},
            {"sigma_max", o.sigma_max},
            {"rho", o.rho},
            {"sigma_data", o.sigma_data}};
  }
  Json operator()(const DirectOptions& o) const {
    return {{"type", "direct"},
            {"head", to_string(o.head)},
            {"mode", to_string(o.mode)},
            {"num_components", o.num_components},
            {"clip_sample", o.clip_sample},
            {"clip_range", o.clip_range}};
  }
  Json operator()(const AutoregressiveSpec& o) const {
    return {{"type", "autoregressive"},
            {"num_tokens", o.num_tokens},
            {"mode", to_string(o.mode)},
            {"temperature", o.temperature},
            {"top_k", o.top_k},
            {"top_p", o.top_p},
            {"stop_token", o.stop_token ? Json(*o.stop_token) : Json()},
            {"parallel", o.parallel},
            {"vocab_size", o.vocab_size},
            {"start_token", o.start_token}};
  }
};

/// A member of an options object; its errors carry its place.
class Reader {
 public:
  explicit Reader(const JsonField& field) : field_(field) {}

  void read(const char* key, int& value) const {
    value = static_cast<int>(field_.at(key).integer(INT32_MIN, INT32_MAX));
  }
  void read(const char* key, std::int64_t& value) const {
    value = field_.at(key).integer(INT64_MIN, INT64_MAX);
  }
  void read(const char* key, double& value) const { value = field_.at(key).number(); }
  void read(const char* key, bool& value) const { value = field_.at(key).boolean(); }
  template <class Enum>
  void read(const char* key, Enum& value, Enum (*from_string)(const std::string&, const std::string&)) const {
    value = from_string(field_.at(key).text(), key);
  }

  void common(DiffusionOptions& o) const {
    read("num_train_steps", o.num_train_steps);
    read("beta_schedule", o.beta_schedule, &beta_schedule_from_string);
    read("beta_start", o.beta_start);
    read("beta_end", o.beta_end);
    read("prediction", o.prediction, &prediction_from_string);
    read("clip_sample", o.clip_sample);
    read("clip_range", o.clip_range);
    read("num_steps", o.num_steps);
    read("timestep_spacing", o.timestep_spacing, &timestep_spacing_from_string);
    read("steps_offset", o.steps_offset);
  }

 private:
  const JsonField& field_;
};

SamplerSpec read_options(const JsonField& field, const std::string& type) {
  const Reader reader(field);
  if (type == "flow_matching") {
    FlowMatchingOptions o;
    reader.read("num_steps", o.num_steps);
    reader.read("solver", o.solver, &ode_solver_from_string);
    reader.read("noise_at", o.noise_at);
    if (field.has("max_delay")) reader.read("max_delay", o.max_delay);
    return o;
  }
  if (type == "consistency") {
    ConsistencyOptions o;
    reader.read("num_steps", o.num_steps);
    reader.read("sigma_min", o.sigma_min);
    reader.read("sigma_max", o.sigma_max);
    reader.read("rho", o.rho);
    reader.read("sigma_data", o.sigma_data);
    return o;
  }
  if (type == "direct") {
    DirectOptions o;
    reader.read("head", o.head, &direct_head_from_string);
    reader.read("mode", o.mode, &direct_choice_from_string);
    reader.read("num_components", o.num_components);
    reader.read("clip_sample", o.clip_sample);
    reader.read("clip_range", o.clip_range);
    return o;
  }
  if (type == "autoregressive") {
    AutoregressiveSpec o;
    reader.read("num_tokens", o.num_tokens);
    reader.read("mode", o.mode, &token_choice_from_string);
    reader.read("temperature", o.temperature);
    reader.read("top_k", o.top_k);
    reader.read("top_p", o.top_p);
    if (!field.at("stop_token").is_null()) reader.read("stop_token", o.stop_token.emplace());
    reader.read("parallel", o.parallel);
    reader.read("vocab_size", o.vocab_size);
    reader.read("start_token", o.start_token);
    return o;
  }
  if (type == "ddpm") {
    DiffusionOptions o;
    reader.common(o);
    return o;
  }
  if (type == "ddim") {
    DDIMOptions o;
    reader.common(o);
    reader.read("eta", o.eta);
    reader.read("set_alpha_to_one", o.set_alpha_to_one);
    return o;
  }
  DPMSolverOptions o;
  reader.common(o);
  reader.read("algorithm_type", o.algorithm_type, &dpm_algorithm_from_string);
  reader.read("solver_order", o.solver_order);
  reader.read("solver_type", o.solver_type, &dpm_solver_type_from_string);
  reader.read("lower_order_final", o.lower_order_final);
  reader.read("final_sigmas_type", o.final_sigmas_type, &final_sigmas_from_string);
  reader.read("use_karras_sigmas", o.use_karras_sigmas);
  return o;
}

constexpr int kMaxVocab = 1 << 20;
constexpr std::int64_t kMaxLogits = 1 << 26;
constexpr std::int64_t kMaxStartToken = 1 << 24;  // exact in float32

}  // namespace

void AutoregressiveSpec::validate() const {
  AutoregressiveOptions::validate();
  if (vocab_size < 1 || vocab_size > kMaxVocab)
    throw ConfigError("vocab_size", std::to_string(vocab_size), "must be in 1.." + std::to_string(kMaxVocab));
  if (start_token < 0 || start_token > kMaxStartToken)
    throw ConfigError("start_token", std::to_string(start_token),
                      "must be in 0.." + std::to_string(kMaxStartToken));
  if (stop_token && *stop_token >= vocab_size)
    throw ConfigError("stop_token", std::to_string(*stop_token),
                      "must be below vocab_size = " + std::to_string(vocab_size));
  if (parallel && static_cast<std::int64_t>(num_tokens) * vocab_size > kMaxLogits)
    throw ConfigError("num_tokens", std::to_string(num_tokens),
                      "must give at most " + std::to_string(kMaxLogits) + " logits");
}

std::unique_ptr<const Sampler> make_sampler(const SamplerSpec& spec) { return std::visit(Maker{}, spec); }

Json json_of(const SamplerSpec& spec) { return std::visit(Writer{}, spec); }

SamplerSpec read_sampler(const JsonField& field) {
  const std::string type = field.at("type").word(
      {"flow_matching", "ddpm", "ddim", "dpm_solver", "consistency", "direct", "autoregressive"});
  return placed(field, [&] {
    SamplerSpec spec = read_options(field, type);
    (void)make_sampler(spec);
    // What was read is exactly what would be written: another field is none of this sampler's.
    const Json known = json_of(spec);
    for (const auto& [key, member] : field.members(known.size() + 1))
      if (!known.contains(key)) member.fail("is not a field of this sampler");
    return spec;
  });
}

}  // namespace vla_rt
