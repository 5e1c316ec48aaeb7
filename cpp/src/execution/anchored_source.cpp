#include "vla_rt/execution/anchored_source.hpp"

#include <algorithm>
#include <utility>

#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

std::shared_ptr<ChunkSource> required(std::shared_ptr<ChunkSource> source) {
  if (!source) throw ConfigError("policy", "", "must not be empty");
  return source;
}

}  // namespace

AnchoredSource::AnchoredSource(std::shared_ptr<ChunkSource> source, std::string feature,
                               std::vector<int> dims)
    : source_(required(std::move(source))),
      claim_(*source_, "the policy is in use by another control loop"),
      feature_(std::move(feature)),
      dims_(std::move(dims)) {
  for (std::size_t i = 0; i < dims_.size(); ++i) {
    const std::string name = indexed("relative_dims", static_cast<long>(i));
    if (dims_[i] < 0 || dims_[i] >= kMaxActionDim)
      throw ConfigError(name, std::to_string(dims_[i]), "must be in 0.." + std::to_string(kMaxActionDim - 1));
    if (std::count(dims_.begin(), dims_.end(), dims_[i]) > 1)
      throw ConfigError(name, std::to_string(dims_[i]), "is there twice");
  }
}

AnchoredSource::~AnchoredSource() = default;

ObservationWindow AnchoredSource::window() const noexcept { return source_->window(); }

const float* AnchoredSource::state_of(const Observation& observation) const {
  const TensorView state = observation.at(feature_);
  std::int64_t size = 1;
  for (const std::int64_t extent : state.shape) size *= extent;
  if (state.dtype != DType::Float32)
    throw ConfigError(feature_, to_string(state.dtype), "must be float32 to anchor actions");
  const int steps = source_->window().steps;
  size /= steps;
  for (const int d : dims_)
    if (d >= size)
      throw ConfigError(feature_, std::to_string(size) + " values",
                        "must hold the state of dim " + std::to_string(d));
  return static_cast<const float*>(state.data) + (steps - 1) * size;
}

void AnchoredSource::require_dims(int action_dim) const {
  for (const int d : dims_)
    if (d >= action_dim)
      throw ConfigError("relative_dims", std::to_string(d),
                        "must be below the chunk's action_dim = " + std::to_string(action_dim));
}

void AnchoredSource::add(const float* state, ActionChunk& chunk) const {
  require_dims(chunk.action_dim);
  for (int t = 0; t < chunk.horizon && t < kMaxHorizon; ++t)
    for (const int d : dims_) chunk.row(t)[static_cast<std::size_t>(d)] += static_cast<double>(state[d]);
}

void AnchoredSource::infer(const Observation& observation, ActionChunk& chunk) {
  const float* state = state_of(observation);
  source_->infer(observation, chunk);
  add(state, chunk);
}

void AnchoredSource::infer_continuing(const Observation& observation, const ChunkPrefix& previous,
                                      ActionChunk& chunk) {
  const float* state = state_of(observation);
  relative_.assign(previous.values.begin(), previous.values.end());
  const std::size_t rows = static_cast<std::size_t>(previous.rows);
  const std::size_t D = rows > 0 ? relative_.size() / rows : 0;
  require_dims(static_cast<int>(D));
  for (std::size_t t = 0; t < rows; ++t)
    for (const int d : dims_) relative_[t * D + static_cast<std::size_t>(d)] -= static_cast<double>(state[d]);
  ChunkPrefix anchored = previous;
  anchored.values = relative_;
  source_->infer_continuing(observation, anchored, chunk);
  add(state, chunk);
}

}  // namespace vla_rt
