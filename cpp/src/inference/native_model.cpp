#include "inference/native_model.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "inference/flush_denormals.hpp"
#include "inference/reverse_plan.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "(";
  for (const std::int64_t extent : shape) text += std::to_string(extent) + ",";
  return text + ")";
}

void require_size(const PlanBuffer* buffer, const char* what, std::int64_t size) {
  if (buffer == nullptr)
    throw FormatError("plan.json#/buffers", "", std::string("must hold one of role ") + what);
  if (buffer->size != size)
    throw ModelError(std::string("plan.json, buffer of role ") + what,
                     std::to_string(buffer->size) + " numbers", "the policy has " + std::to_string(size));
}

/// The only buffer of a role, null where there is none.
const PlanBuffer* only(const Plan& plan, BufferRole role, const char* what) {
  const PlanBuffer* found = nullptr;
  for (const PlanBuffer& buffer : plan.buffers) {
    if (buffer.role != role) continue;
    if (found != nullptr)
      throw FormatError("plan.json#/buffers", "", std::string("must hold only one of role ") + what);
    found = &buffer;
  }
  return found;
}

void require_fit(const Plan& plan, const ModelSignature& signature) {
  const auto size = [](const std::vector<std::int64_t>& shape) {
    std::int64_t n = 1;
    for (const std::int64_t extent : shape) n *= extent;
    return n;
  };
  require_size(only(plan, BufferRole::Time, "time"), "time", 1);
  require_size(only(plan, BufferRole::Input, "input"), "input", size(signature.input_shape()));
  require_size(only(plan, BufferRole::Answer, "answer"), "answer", size(signature.output_shape()));
  std::vector<std::int64_t> sizes;
  for (const PlanBuffer& buffer : plan.buffers)
    if (buffer.role == BufferRole::Observation) sizes.push_back(buffer.size);
  const auto expected = [](const TensorSpec& s) { return s.num_elements(); };
  if (!std::ranges::equal(sizes, signature.observation, {}, {}, expected))
    throw ModelError(
        "plan.json, buffers of role observation", std::to_string(sizes.size()),
        "the policy has " + std::to_string(signature.observation.size()) + " features of other sizes");
}

void to_floats(const TensorView& from, std::int64_t count, float* to) noexcept {
  const auto convert = [&](const auto* values) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(values[i]);
  };
  switch (from.dtype) {
    case DType::Float32:
      std::memcpy(to, from.data, static_cast<std::size_t>(count) * sizeof(float));
      break;
    case DType::Int64:
      convert(static_cast<const std::int64_t*>(from.data));
      break;
    case DType::UInt8:
      convert(static_cast<const std::uint8_t*>(from.data));
      break;
  }
}

}  // namespace

struct NativeModel::Vjp {
  Arena arena;
  Program program;
};

NativeModel::NativeModel(Plan plan, const PlanWeights& weights, const ModelSignature& signature,
                         InstructionSet set, std::shared_ptr<const void> weights_owner)
    : signature_(signature), kernels_(kernels(set)), weights_owner_(std::move(weights_owner)) {
  if (kernels_ == nullptr) throw ModelError("instruction set", to_string(set), "is not part of this build");
  if (signature.threads != 1 && signature.threads != 2)
    throw ConfigError("threads", std::to_string(signature.threads), "must be 1 or 2");
  check_plan(plan, weights);
  require_fit(plan, signature);
  for (const PlanBuffer& buffer : plan.buffers) {
    if (buffer.role == BufferRole::Input) input_size_ = static_cast<std::size_t>(buffer.size);
    if (buffer.role == BufferRole::Answer) answer_size_ = static_cast<std::size_t>(buffer.size);
  }
  const bool is_shared = signature.threads == 2;
  bind(plan, weights, is_shared);  // counts
  arena_ = Arena(arena_.used());
  bind(plan, weights, is_shared);
  ids_ = find_ids(plan);
  if (is_shared) second_thread_ = std::make_unique<SecondThread>(*kernels_);
  prepare(std::vector<double>{0.0});
  if (weights_owner_ == nullptr) return;
  plan_ = std::move(plan);
  weights_ = weights;
}

NativeModel::~NativeModel() = default;

void NativeModel::bind(const Plan& plan, const PlanWeights& weights, bool is_shared) {
  program_ = bind_plan(plan, weights, *kernels_, arena_);
  if (!is_shared) return;
  MatrixSharing sharing(*kernels_, arena_);
  for (std::size_t s = 0; s < kNumStages; ++s) {
    shared_[s].clear();
    for (const Instruction& instruction : program_.stages[s])
      shared_[s].push_back(sharing.share(instruction));
  }
}

std::vector<NativeModel::Ids> NativeModel::find_ids(const Plan& plan) {
  std::vector<Ids> found;
  for (const PlanOperation& operation : plan.stages[static_cast<std::size_t>(Stage::Encode)]) {
    if (operation.name != "gather") continue;
    const PlanView& table = plan.views[static_cast<std::size_t>(operation.inputs[0])];
    const PlanView& index = plan.views[static_cast<std::size_t>(operation.inputs[1])];
    const auto buffer = plan.buffers.begin() + index.buffer;
    if (buffer->role != BufferRole::Observation) continue;
    const auto feature =
        std::ranges::count(plan.buffers.begin(), buffer, BufferRole::Observation, &PlanBuffer::role);
    found.push_back(
        {static_cast<std::size_t>(feature), index.offset, index.strides[0], index.shape[0], table.shape[0]});
  }
  return found;
}

void NativeModel::require_rows(const Ids& ids, const TensorView& feature) const {
  if (feature.dtype == DType::Float32) return;  // no ids
  for (std::int64_t i = 0; i < ids.count; ++i) {
    const std::int64_t element = ids.offset + i * ids.stride;
    const std::int64_t id = feature.dtype == DType::Int64
                                ? static_cast<const std::int64_t*>(feature.data)[element]
                                : static_cast<const std::uint8_t*>(feature.data)[element];
    if (id < 0 || id >= ids.table_rows)
      throw ConfigError(indexed(signature_.observation[ids.feature].name, element), std::to_string(id),
                        "must be in 0.." + std::to_string(ids.table_rows - 1));
  }
}

std::span<const TensorSpec> NativeModel::observation_spec() const noexcept { return signature_.observation; }

void NativeModel::run(Stage stage) const noexcept VLA_RT_NONBLOCKING {
  const FlushDenormals flush;
  const auto s = static_cast<std::size_t>(stage);
  if (!second_thread_) return vla_rt::run(program_.stages[s], *kernels_);
  second_thread_->begin();
  for (std::size_t i = 0; i < shared_[s].size(); ++i) {
    if (shared_[s][i])
      second_thread_->run(*shared_[s][i]);
    else
      vla_rt::run(program_.stages[s][i], *kernels_);
  }
  second_thread_->end();
}

void NativeModel::prepare(std::span<const double> times) {
  if (times.empty()) throw ConfigError("times", "", "needs at least one entry");
  for (std::size_t i = 0; i < times.size(); ++i)
    if (!std::isfinite(times[i]))
      throw ConfigError(indexed("times", static_cast<long>(i)), number(times[i]), "must be finite");
  Arena table(std::max<std::size_t>(times.size() * program_.rows.size_bytes() + 128, 128));
  float* rows = table.floats(static_cast<std::int64_t>(times.size() * program_.rows.size()));
  for (std::size_t k = 0; k < times.size(); ++k) {
    *program_.time = static_cast<float>(times[k]);
    run(Stage::Prepare);
    std::ranges::copy(program_.rows, rows + k * program_.rows.size());
  }
  table_ = std::move(table);
  rows_ = rows;
  num_times_ = times.size();
  encoded_ = false;
}

void NativeModel::encode(std::span<const TensorView> observation) {
  const std::vector<TensorSpec>& specs = signature_.observation;
  if (observation.size() != specs.size())
    throw ConfigError("observation", std::to_string(observation.size()) + " tensors",
                      "must be " + std::to_string(specs.size()));
  for (std::size_t i = 0; i < specs.size(); ++i)
    if (!std::ranges::equal(observation[i].shape, specs[i].shape) || observation[i].dtype != specs[i].dtype)
      throw ConfigError(specs[i].name, to_string(observation[i].dtype) + shape_text(observation[i].shape),
                        "must be " + std::string(to_string(specs[i].dtype)) + shape_text(specs[i].shape));
  for (const Ids& ids : ids_) require_rows(ids, observation[ids.feature]);
  for (std::size_t i = 0; i < specs.size(); ++i)
    to_floats(observation[i], specs[i].num_elements(), program_.observation[i]);
  run(Stage::Encode);
  encoded_ = true;
}

void NativeModel::require_step(std::size_t x, int k) const {
  if (x != input_size_)
    throw ConfigError("x", std::to_string(x) + " values", "must be " + std::to_string(input_size_));
  if (k < 0 || static_cast<std::size_t>(k) >= num_times_)
    throw ConfigError("k", std::to_string(k),
                      "must index the " + std::to_string(num_times_) + " prepared times");
  if (!encoded_) throw ModelError("step", "", "needs an encode first");
}

void NativeModel::step(std::span<const float> x, int k, std::span<float> out) {
  if (out.size() != answer_size_)
    throw ConfigError("out", std::to_string(out.size()) + " values",
                      "must be " + std::to_string(answer_size_));
  require_step(x.size(), k);
  std::ranges::copy(x, program_.input);
  std::memcpy(program_.rows.data(), row(k), program_.rows.size_bytes());
  run(Stage::Step);
  std::copy_n(program_.answer, answer_size_, out.data());
}

void NativeModel::prepare_vjp() {
  if (vjp_ != nullptr) return;
  if (weights_owner_ == nullptr)
    throw ModelError("vjp", backend(), "the weights were not kept when the network was opened");
  const ReversePlan reverse = reverse_plan(plan_, weights_);
  auto vjp = std::make_unique<Vjp>();
  try {
    Arena counted;
    (void)bind_plan(reverse.plan, reverse.weights, *kernels_, counted);
    vjp->arena = Arena(counted.used());
    vjp->program = bind_plan(reverse.plan, reverse.weights, *kernels_, vjp->arena);
  } catch (const FormatError& error) {
    throw ModelError(
        "vjp, " + error.name(), error.value(),
        error.bound() + "; use jacobian finite_differences or identity, or the torchscript backend");
  }
  context_sizes_.clear();
  for (const PlanBuffer& buffer : plan_.buffers)
    if (buffer.role == BufferRole::Context) context_sizes_.push_back(static_cast<std::size_t>(buffer.size));
  vjp_ = std::move(vjp);
}

void NativeModel::step_vjp(std::span<const float> x, int k, std::span<const float> c, std::span<float> out) {
  if (vjp_ == nullptr) return Model::step_vjp(x, k, c, out);
  require_step(x.size(), k);
  if (c.size() != answer_size_)
    throw ConfigError("c", std::to_string(c.size()) + " values", "must be " + std::to_string(answer_size_));
  if (out.size() != input_size_)
    throw ConfigError("out", std::to_string(out.size()) + " values",
                      "must be " + std::to_string(input_size_));
  const Program& reverse = vjp_->program;
  std::ranges::copy(x, reverse.input);
  std::ranges::copy(c, reverse.input + input_size_);
  std::memcpy(reverse.rows.data(), row(k), reverse.rows.size_bytes());
  for (std::size_t i = 0; i < context_sizes_.size(); ++i)
    std::copy_n(program_.context[i], context_sizes_[i], reverse.observation[i]);
  {
    const FlushDenormals flush;
    vla_rt::run(reverse.stages[static_cast<std::size_t>(Stage::Step)], *kernels_);
  }
  std::copy_n(reverse.answer, input_size_, out.data());
}

}  // namespace vla_rt
