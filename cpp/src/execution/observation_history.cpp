#include "execution/observation_history.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "vla_rt/core/tensor.hpp"

namespace vla_rt::execution {

ObservationHistory::ObservationHistory(const ObservationWindow& window)
    : steps_(window.steps),
      period_(window.period_ns),
      ring_(static_cast<std::size_t>(window.steps) * static_cast<std::size_t>(kPerPeriod) + 1) {}

void ObservationHistory::add(const Observation& observation) {
  ring_[next_] = observation;
  next_ = (next_ + 1) % ring_.size();
  count_ = std::min(count_ + 1, ring_.size());
}

const Observation& ObservationHistory::until(const Observation& now) {
  window_.clear();
  window_.time_ns = now.time_ns;
  for (const std::string& name : now.names()) {
    const TensorView present = now.at(name);
    const TensorSpec spec{name, present.dtype, {present.shape.begin(), present.shape.end()}};
    const std::size_t size = static_cast<std::size_t>(spec.num_elements()) * size_of(spec.dtype);
    bytes_.resize(static_cast<std::size_t>(steps_) * size);
    for (int k = 0; k < steps_; ++k) {
      const Observation& seen = nearest(now.time_ns - (steps_ - 1 - k) * period_, now);
      const TensorSpec* known = seen.find_spec(name);
      const bool fits = known != nullptr && known->dtype == spec.dtype && known->shape == spec.shape;
      const TensorView value = fits ? seen.at(name) : present;
      if (size > 0) std::memcpy(bytes_.data() + static_cast<std::size_t>(k) * size, value.data, size);
    }
    std::vector<std::int64_t> shape{steps_};
    shape.insert(shape.end(), spec.shape.begin(), spec.shape.end());
    window_.set(name, spec.dtype, shape, bytes_.data());
  }
  return window_;
}

const Observation& ObservationHistory::nearest(TimeNs time_ns, const Observation& now) const {
  const Observation* best = &now;
  for (std::size_t i = 0; i < count_; ++i)
    if (std::abs(ring_[i].time_ns - time_ns) < std::abs(best->time_ns - time_ns)) best = &ring_[i];
  return *best;
}

}  // namespace vla_rt::execution
