#include "package/feature_input.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

template <class From>
void copy_as_float(const void* from, std::span<float> to) {
  const auto* values = static_cast<const From*>(from);
  std::transform(values, values + to.size(), to.begin(), [](From v) { return static_cast<float>(v); });
}

}  // namespace

FeatureInput::FeatureInput(const FeatureSpec& spec, int n_obs_steps)
    : spec_(spec), normalizer_(spec.normalizer), frames_(static_cast<std::size_t>(n_obs_steps)) {
  const auto n = static_cast<std::size_t>(spec.tensor.num_elements());
  if (spec.tensor.dtype == DType::Float32) {
    floats_.resize(n);
  } else {
    bytes_.resize(n * size_of(spec.tensor.dtype));
  }
  if (spec.kind == FeatureKind::Image)
    pixels_.resize(static_cast<std::size_t>(spec.tensor.shape[spec.tensor.shape.size() - 3]));
}

TensorView FeatureInput::view() const {
  const void* data = floats_.empty() ? static_cast<const void*>(bytes_.data()) : floats_.data();
  return {data, spec_.tensor.dtype, spec_.tensor.shape};
}

void FeatureInput::read(const Observation& observation) {
  const TensorView raw = observation.at(spec_.tensor.name);
  if (spec_.kind == FeatureKind::Image && raw.dtype == DType::UInt8) {
    convert_image(raw);
  } else {
    convert(raw);
  }
  if (spec_.tensor.dtype != DType::Float32) return;
  require_finite();
  normalize();
}

bool FeatureInput::read(std::span<const float> values) noexcept {
  if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); })) return false;
  std::ranges::copy(values, floats_.begin());
  normalize();  // throws for numbers that are not finite alone
  return true;
}

void FeatureInput::convert(const TensorView& raw) {
  if (!std::ranges::equal(raw.shape, spec_.tensor.shape))
    throw ConfigError(spec_.tensor.name, "shape " + shape_text(raw.shape),
                      "must have shape " + shape_text(spec_.tensor.shape));
  if (spec_.tensor.dtype != DType::Float32) {
    if (raw.dtype != spec_.tensor.dtype)
      throw ConfigError(spec_.tensor.name, to_string(raw.dtype),
                        std::string("must be ") + to_string(spec_.tensor.dtype));
    std::memcpy(bytes_.data(), raw.data, bytes_.size());
    return;
  }
  switch (raw.dtype) {
    case DType::Float32:
      copy_as_float<float>(raw.data, floats_);
      break;
    case DType::Int64:
      copy_as_float<std::int64_t>(raw.data, floats_);
      break;
    case DType::UInt8:
      copy_as_float<std::uint8_t>(raw.data, floats_);
      break;
  }
}

void FeatureInput::convert_image(const TensorView& raw) {
  const auto& chw = spec_.tensor.shape;
  std::vector<std::int64_t> hwc = chw;
  std::rotate(hwc.end() - 3, hwc.end() - 2, hwc.end());
  if (!std::ranges::equal(raw.shape, hwc))
    throw ConfigError(
        spec_.tensor.name, "shape " + shape_text(raw.shape),
        "must have shape " + shape_text(hwc) + " as uint8, or " + shape_text(chw) + " as float32");
  const auto* bytes = static_cast<const std::uint8_t*>(raw.data);
  const std::size_t channels = pixels_.size(), frame = floats_.size() / frames_, pixels = frame / channels;
  for (std::size_t first = 0; first < floats_.size(); first += frame)
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t p = 0; p < pixels; ++p)
        floats_[first + c * pixels + p] = static_cast<float>(bytes[first + p * channels + c]) / 255.0F;
}

void FeatureInput::require_finite() const {
  std::uint32_t largest = 0;  // without sign; infinity and what is no number are the largest of all
  for (const float v : floats_) largest = std::max(largest, std::bit_cast<std::uint32_t>(v) & 0x7fffffffU);
  if (largest < 0x7f800000U) return;
  const auto it = std::ranges::find_if_not(floats_, [](float v) { return std::isfinite(v); });
  if (it != floats_.end())
    throw ConfigError(indexed(spec_.tensor.name, it - floats_.begin()), number(static_cast<double>(*it)),
                      "must be finite");
}

void FeatureInput::normalize() {
  if (spec_.normalizer.mode == NormalizationMode::Identity) return;
  if (spec_.kind == FeatureKind::State) return normalizer_.normalize(floats_, floats_);
  const std::size_t channels = pixels_.size(), frame = floats_.size() / frames_, pixels = frame / channels;
  for (std::size_t first = 0; first < floats_.size(); first += frame) {
    for (std::size_t p = first; p < first + pixels; ++p) {
      for (std::size_t c = 0; c < channels; ++c) pixels_[c] = static_cast<double>(floats_[c * pixels + p]);
      normalizer_.normalize(pixels_, pixels_);
      for (std::size_t c = 0; c < channels; ++c) floats_[c * pixels + p] = static_cast<float>(pixels_[c]);
    }
  }
}

}  // namespace vla_rt
