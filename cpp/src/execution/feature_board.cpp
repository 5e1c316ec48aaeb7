#include "vla_rt/execution/feature_board.hpp"

namespace vla_rt {

void FeatureBoard::post(std::string_view name, DType dtype, std::span<const std::int64_t> shape,
                        const void* data) {
  const std::scoped_lock lock(mutex_);
  features_.set(name, dtype, shape, data);
}

void FeatureBoard::post(std::string_view name, std::span<const double> values) {
  const std::scoped_lock lock(mutex_);
  features_.set(name, values);
}

void FeatureBoard::copy_to(Observation& observation) const {
  const std::scoped_lock lock(mutex_);
  for (const std::string& name : features_.names()) {
    const TensorView value = features_.at(name);
    observation.set(name, value.dtype, value.shape, value.data);
  }
}

}  // namespace vla_rt
