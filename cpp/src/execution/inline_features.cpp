#include "execution/inline_features.hpp"

#include <algorithm>
#include <span>

#include "vla_rt/core/errors.hpp"

namespace vla_rt::execution {
namespace {

constexpr const char* kState = "observation.state";

float as_float(const TensorView& raw, std::size_t i) {
  switch (raw.dtype) {
    case DType::Float32:
      return static_cast<const float*>(raw.data)[i];
    case DType::Int64:
      return static_cast<float>(static_cast<const std::int64_t*>(raw.data)[i]);
    case DType::UInt8:
      return static_cast<float>(static_cast<const std::uint8_t*>(raw.data)[i]);
  }
  return 0;
}

}  // namespace

InlineFeatures::InlineFeatures(const PolicySpec& spec)
    : spec_(spec), state_feature_(spec.observation.size()) {
  for (std::size_t i = 0; i < spec.observation.size(); ++i) {
    const TensorSpec& tensor = spec.observation[i].tensor;
    if (tensor.name == kState && tensor.num_elements() == spec.action_dim)
      state_feature_ = i;
    else
      posted_floats_ += static_cast<std::size_t>(tensor.num_elements());
  }
  posted_.for_each_slot([this](std::vector<float>& slot) { slot.assign(posted_floats_, 0.0F); });
}

void InlineFeatures::reset() noexcept {
  posted_once_ = false;
  posted_.update();
  failures_.count = 0;
  failures_.newest.clear();
}

void InlineFeatures::show(const RobotState& state) noexcept {
  if (!needed()) return;
  states_.back() = state;
  states_.publish();
}

InlineFeatures::Taken InlineFeatures::take(const RobotState& state, ChunkSampler& sampler) noexcept {
  if (posted_.update()) posted_once_ = true;
  if (needed() && !posted_once_) return Taken::None;
  std::span<const float> rest = posted_.front();
  bool good = true;
  for (std::size_t i = 0; i < spec_.observation.size(); ++i) {
    if (i == state_feature_) {
      const auto n = static_cast<std::size_t>(spec_.action_dim);
      for (std::size_t j = 0; j < n; ++j) state_floats_[j] = static_cast<float>(state.position[j]);
      good = good && state.num_joints == static_cast<std::int32_t>(n) &&
             sampler.set_feature(i, std::span(state_floats_).first(n));
      continue;
    }
    const auto n = static_cast<std::size_t>(spec_.observation[i].tensor.num_elements());
    good = sampler.set_feature(i, rest.first(n)) && good;
    rest = rest.subspan(n);
  }
  return good ? Taken::Good : Taken::Bad;
}

void InlineFeatures::post(const Observation& observation) {
  std::vector<float>& values = posted_.back();
  std::size_t at = 0;
  for (std::size_t i = 0; i < spec_.observation.size(); ++i) {
    if (i == state_feature_) continue;
    const TensorSpec& tensor = spec_.observation[i].tensor;
    const TensorView raw = observation.at(tensor.name);
    if (!std::ranges::equal(raw.shape, tensor.shape))
      throw ConfigError(tensor.name, std::to_string(raw.shape.size()) + " axes",
                        "must have the shape that the policy was made for");
    const auto n = static_cast<std::size_t>(tensor.num_elements());
    for (std::size_t k = 0; k < n; ++k) values[at++] = as_float(raw, k);
  }
  posted_.publish();
}

void InlineFeatures::observe(Robot& robot, const RobotState& state) {
  robot.observe(state, observation_);
  if (state_feature_ < spec_.observation.size()) {
    const TensorView seen = observation_.at(kState);
    bool same = seen.dtype == DType::Float32 && seen.shape.size() == 1 &&
                seen.shape[0] == static_cast<std::int64_t>(state.num_joints);
    for (std::size_t j = 0; same && j < static_cast<std::size_t>(state.num_joints); ++j)
      same = static_cast<const float*>(seen.data)[j] == static_cast<float>(state.position[j]);
    if (!same)
      throw ConfigError(
          kState, "of this robot",
          "must be the measured positions for a policy inside the tick, which reads them itself");
  }
  if (needed()) post(observation_);
}

void InlineFeatures::observe(Robot& robot) noexcept {
  if (!states_.update()) return;
  try {
    robot.observe(states_.front(), observation_);
    post(observation_);
  } catch (const std::exception& error) {
    const std::scoped_lock lock(mutex_);
    ++failures_.count;
    failures_.newest = error.what();
  }
}

InlineFeatures::Failures InlineFeatures::failures() const {
  const std::scoped_lock lock(mutex_);
  return failures_;
}

}  // namespace vla_rt::execution
