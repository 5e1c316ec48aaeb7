#include "vla_rt/sampling/consistency_sampler.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr int kMaxSteps = 1000;
constexpr double kMaxSigma = 1e30;  // the state is float32

}  // namespace

void ConsistencyOptions::validate() const {
  if (num_steps < 1 || num_steps > kMaxSteps)
    throw ConfigError("num_steps", std::to_string(num_steps), "must be in 1.." + std::to_string(kMaxSteps));
  const auto positive = [](const char* name, double value) {
    if (!(value > 0 && std::isfinite(value)))
      throw ConfigError(name, number(value), "must be finite and > 0");
  };
  positive("sigma_min", sigma_min);
  positive("sigma_max", sigma_max);
  positive("rho", rho);
  positive("sigma_data", sigma_data);
  if (sigma_max > kMaxSigma) throw ConfigError("sigma_max", number(sigma_max), "must be at most 1e30");
  if (sigma_max <= sigma_min)
    throw ConfigError("sigma_max", number(sigma_max), "must be above sigma_min = " + number(sigma_min));
}

ConsistencySampler::ConsistencySampler(const ConsistencyOptions& options) : options_(options) {
  options_.validate();
  const double high = std::pow(options_.sigma_max, 1 / options_.rho);
  const double low = std::pow(options_.sigma_min, 1 / options_.rho);
  for (int k = 0; k < options_.num_steps; ++k) {
    const double ramp = static_cast<double>(k) / options_.num_steps;
    sigmas_.push_back(k == 0 ? options_.sigma_max : std::pow(high + ramp * (low - high), options_.rho));
    if (!(sigmas_.back() >= 0 && sigmas_.back() <= options_.sigma_max))
      throw ConfigError("rho", number(options_.rho),
                        "is too small for levels between sigma_min and sigma_max");
  }
}

void ConsistencySampler::begin(const Sampling& s) const noexcept {
  for (float& value : s.x) value = static_cast<float>(options_.sigma_max * static_cast<double>(value));
}

std::span<const float> ConsistencySampler::point(const Sampling& s, int /*stage*/) const noexcept {
  return s.x;
}

std::span<float> ConsistencySampler::answer(const Sampling& s) const noexcept {
  return s.scratch.first(s.x.size());
}

void ConsistencySampler::absorb(const Sampling& s, int stage) const noexcept {
  const std::size_t n = s.x.size(), k = static_cast<std::size_t>(stage);
  const std::span<float> clean = s.scratch.first(n), own_noise = s.scratch.subspan(n, n);
  if (k + 1 == sigmas_.size()) {
    std::ranges::copy(clean, s.x.begin());
    return;
  }
  std::span<const float> z = own_noise;
  if (s.step_noise.empty()) {
    fill_noise(s.noise, static_cast<std::uint32_t>(k + 1), own_noise);
  } else {
    z = s.step_noise.subspan(k * n, n);
  }
  const double sigma = sigmas_[k + 1];
  const double added = std::sqrt(std::max(sigma * sigma - options_.sigma_min * options_.sigma_min, 0.0));
  for (std::size_t i = 0; i < n; ++i)
    s.x[i] = static_cast<float>(static_cast<double>(clean[i]) + added * static_cast<double>(z[i]));
}

}  // namespace vla_rt
