#include "vla_rt/core/observation.hpp"

#include <algorithm>
#include <cstring>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

void Observation::set(std::string_view name, DType dtype, std::span<const std::int64_t> shape,
                      const void* data) {
  auto it =
      std::ranges::find(features_, name, [](const Feature& f) -> std::string_view { return f.spec.name; });
  if (it == features_.end()) {
    features_.push_back({{std::string(name), dtype, {}}, {}});
    it = std::prev(features_.end());
  }
  it->spec.dtype = dtype;
  it->spec.shape.assign(shape.begin(), shape.end());
  it->data.resize(static_cast<std::size_t>(it->spec.num_elements()) * size_of(dtype));
  if (!it->data.empty()) std::memcpy(it->data.data(), data, it->data.size());
}

void Observation::set(std::string_view name, std::span<const double> values) {
  const std::vector<float> narrowed(values.begin(), values.end());
  const std::int64_t extent = static_cast<std::int64_t>(values.size());
  set(name, DType::Float32, {&extent, 1}, narrowed.data());
}

const TensorSpec* Observation::find_spec(std::string_view name) const noexcept {
  const auto it =
      std::ranges::find(features_, name, [](const Feature& f) -> std::string_view { return f.spec.name; });
  return it == features_.end() ? nullptr : &it->spec;
}

TensorView Observation::at(std::string_view name) const {
  const auto it =
      std::ranges::find(features_, name, [](const Feature& f) -> std::string_view { return f.spec.name; });
  if (it == features_.end()) throw ConfigError(std::string(name), "", "the observation has no such feature");
  return {it->data.data(), it->spec.dtype, it->spec.shape};
}

std::vector<std::string> Observation::names() const {
  std::vector<std::string> result;
  result.reserve(features_.size());
  for (const Feature& feature : features_) result.push_back(feature.spec.name);
  return result;
}

void Observation::clear() noexcept { features_.clear(); }

}  // namespace vla_rt
