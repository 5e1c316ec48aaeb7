#include "vla_rt/sampling/direct_sampler.hpp"

#include <algorithm>
#include <cmath>

#include "sampling/enum_text.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr int kMaxComponents = 1024;
constexpr EnumText<DirectHead, 3> kHeads{
    {{DirectHead::Value, "value"}, {DirectHead::Normal, "normal"}, {DirectHead::Mixture, "mixture"}}};
constexpr EnumText<DirectChoice, 3> kChoices{
    {{DirectChoice::Mean, "mean"}, {DirectChoice::Mode, "mode"}, {DirectChoice::Sample, "sample"}}};

}  // namespace

const char* to_string(DirectHead head) noexcept { return text_of(kHeads, head); }
const char* to_string(DirectChoice choice) noexcept { return text_of(kChoices, choice); }
DirectHead direct_head_from_string(const std::string& text, const std::string& field) {
  return value_of(kHeads, text, field);
}
DirectChoice direct_choice_from_string(const std::string& text, const std::string& field) {
  return value_of(kChoices, text, field);
}

void DirectOptions::validate() const {
  if (head == DirectHead::Value && mode != DirectChoice::Mean)
    throw ConfigError("mode", to_string(mode), "must be mean for head value, which is no distribution");
  if (num_components < 1 || num_components > kMaxComponents)
    throw ConfigError("num_components", std::to_string(num_components),
                      "must be in 1.." + std::to_string(kMaxComponents));
  if (head != DirectHead::Mixture && num_components != 1)
    throw ConfigError("num_components", std::to_string(num_components), "must be 1 unless head is mixture");
  if (!(clip_range > 0 && std::isfinite(clip_range)))
    throw ConfigError("clip_range", number(clip_range), "must be finite and > 0");
}

std::vector<std::int64_t> DirectOptions::answer_shape(int horizon, int action_dim) const {
  switch (head) {
    case DirectHead::Value:
      return {horizon, action_dim};
    case DirectHead::Normal:
      return {2, horizon, action_dim};
    case DirectHead::Mixture:
      return {num_components, 1 + 2 * static_cast<std::int64_t>(horizon) * action_dim};
  }
  return {};
}

DirectSampler::DirectSampler(const DirectOptions& options) : options_(options) { options_.validate(); }

std::size_t DirectSampler::answer_size(std::size_t n) const noexcept {
  switch (options_.head) {
    case DirectHead::Value:
      return n;
    case DirectHead::Normal:
      return 2 * n;
    case DirectHead::Mixture:
      return static_cast<std::size_t>(options_.num_components) * (1 + 2 * n);
  }
  return n;
}

std::size_t DirectSampler::scratch_size(std::size_t n) const noexcept { return answer_size(n) + n; }

std::size_t DirectSampler::component(std::span<const float> answer, const NoiseSource& noise,
                                     std::size_t stride) const noexcept {
  const auto count = static_cast<std::size_t>(options_.num_components);
  std::size_t likeliest = 0;
  for (std::size_t m = 1; m < count; ++m)
    if (answer[m * stride] > answer[likeliest * stride]) likeliest = m;
  if (options_.mode == DirectChoice::Mode || count == 1) return likeliest;
  const double largest = static_cast<double>(answer[likeliest * stride]);
  const auto weight = [&](std::size_t m) {
    return std::exp(static_cast<double>(answer[m * stride]) - largest);
  };
  double total = 0;
  for (std::size_t m = 0; m < count; ++m) total += weight(m);
  double remaining = uniform_at(noise, 2, 0) * total;
  for (std::size_t m = 0; m < count; ++m) {
    remaining -= weight(m);
    if (remaining < 0) return m;
  }
  return likeliest;  // rounding alone leads here
}

AnswerDefect DirectSampler::find_defect(std::span<const float> answer) const noexcept {
  if (const AnswerDefect defect = Sampler::find_defect(answer); defect.bound != nullptr) return defect;
  if (options_.head == DirectHead::Value) return {};
  const std::size_t stride = answer.size() / static_cast<std::size_t>(options_.num_components);
  for (std::size_t end = stride; end <= answer.size(); end += stride)
    for (std::size_t i = end - stride / 2; i < end; ++i)
      if (answer[i] < 0) return {i, "a standard deviation must be >= 0"};
  return {};
}

void DirectSampler::decode(std::span<const float> answer, const NoiseSource& noise, std::span<const float> z,
                           std::span<float> x) const noexcept {
  const std::size_t n = x.size();
  const bool mixture = options_.head == DirectHead::Mixture;
  const std::size_t stride = (mixture ? 1 : 0) + 2 * n, count = answer.size() / stride;
  if (mixture && options_.mode == DirectChoice::Mean) {
    double largest = -INFINITY, total = 0;
    for (std::size_t m = 0; m < count; ++m)
      largest = std::max(largest, static_cast<double>(answer[m * stride]));
    for (std::size_t m = 0; m < count; ++m)
      total += std::exp(static_cast<double>(answer[m * stride]) - largest);
    std::ranges::fill(x, 0.0F);
    for (std::size_t m = 0; m < count; ++m) {
      const double weight = std::exp(static_cast<double>(answer[m * stride]) - largest) / total;
      const auto mean = answer.subspan(m * stride + 1, n);
      for (std::size_t i = 0; i < n; ++i) x[i] += static_cast<float>(weight * static_cast<double>(mean[i]));
    }
  } else {
    const auto own = mixture ? answer.subspan(component(answer, noise, stride) * stride + 1) : answer;
    const bool drawn = options_.mode == DirectChoice::Sample;
    for (std::size_t i = 0; i < n; ++i)
      x[i] = drawn ? static_cast<float>(static_cast<double>(own[i]) +
                                        static_cast<double>(own[n + i]) * static_cast<double>(z[i]))
                   : own[i];
  }
  if (!options_.clip_sample) return;
  const auto bound = static_cast<float>(options_.clip_range);
  for (float& value : x) value = std::clamp(value, -bound, bound);
}

void DirectSampler::begin(const Sampling& /*s*/) const noexcept {}

std::span<const float> DirectSampler::point(const Sampling& s, int /*stage*/) const noexcept { return s.x; }

std::span<float> DirectSampler::answer(const Sampling& s) const noexcept {
  return s.scratch.first(answer_size(s.x.size()));
}

void DirectSampler::absorb(const Sampling& s, int /*stage*/) const noexcept {
  const std::span<float> own_noise = s.scratch.last(s.x.size());
  const bool drawn = options_.mode == DirectChoice::Sample;
  if (drawn && s.step_noise.empty()) fill_noise(s.noise, 1, own_noise);
  decode(answer(s), s.noise, s.step_noise.empty() ? std::span<const float>(own_noise) : s.step_noise, s.x);
}

}  // namespace vla_rt
