#include "vla_rt/sampling/guidance.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "sampling/enum_text.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/sampling/sampler.hpp"

namespace vla_rt {
namespace {

constexpr EnumText<GuidanceJacobian, 3> kJacobians{
    {{GuidanceJacobian::Identity, "identity"},
     {GuidanceJacobian::Vjp, "vjp"},
     {GuidanceJacobian::FiniteDifferences, "finite_differences"}}};

constexpr double kStep = 5e-3;  // of central differences: about the cube root of float32's rounding

void require_size(const char* name, int value, int low, int high) {
  if (value < low || value > high)
    throw ConfigError(name, std::to_string(value),
                      "must be in " + std::to_string(low) + ".." + std::to_string(high));
}

}  // namespace

const char* to_string(GuidanceJacobian jacobian) noexcept { return text_of(kJacobians, jacobian); }
GuidanceJacobian guidance_jacobian_from_string(const std::string& text, const std::string& field) {
  return value_of(kJacobians, text, field);
}

void GuidanceOptions::validate() const {
  if (!(std::isfinite(max_weight) && max_weight >= 0))
    throw ConfigError("max_weight", number(max_weight), "must be finite and >= 0");
}

Guidance::Guidance(const GuidanceOptions& options) : options_(options) { options_.validate(); }

void Guidance::aim(const ChunkPrefix& prefix, int batch, int horizon, int action_dim, int skip) {
  const int rows = horizon - skip;
  if (prefix.batch != 1) require_size("previous.batch", prefix.batch, batch, batch);
  require_size("previous.rows", prefix.rows, 1, rows);
  require_size("delay", prefix.delay, 0, rows);
  if (prefix.end < 0) throw ConfigError("execution_horizon", std::to_string(prefix.end), "must be >= 0");
  const auto D = static_cast<std::size_t>(action_dim), T = static_cast<std::size_t>(horizon);
  const auto S = static_cast<std::size_t>(skip), L = static_cast<std::size_t>(prefix.rows);
  const std::size_t expected = static_cast<std::size_t>(prefix.batch) * L * D;
  if (prefix.values.size() != expected)
    throw ConfigError("previous", std::to_string(prefix.values.size()) + " values",
                      "must have batch * rows * action_dim = " + std::to_string(expected));
  for (std::size_t i = 0; i < expected; ++i)
    if (!std::isfinite(prefix.values[i]))
      throw ConfigError(indexed("previous", static_cast<long>(i)), number(prefix.values[i]),
                        "must be finite");

  given_rows_ = std::min(prefix.delay, prefix.rows);
  row_size_ = D;
  chunk_size_ = T * D;
  const std::size_t n = static_cast<std::size_t>(batch) * T * D;
  row_weights_.assign(T, 0.0);
  prefix_weights(prefix.delay, prefix.end, options_.schedule, std::span(row_weights_).subspan(S));
  target_.resize(n);
  weights_.resize(n);
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b) {
    const double* values = prefix.values.data() + (prefix.batch == 1 ? 0 : b * L * D);
    for (std::size_t t = 0; t < T; ++t) {
      const std::size_t row = std::min(t < S ? 0 : t - S, L - 1);
      std::copy_n(values + row * D, D, target_.begin() + static_cast<std::ptrdiff_t>((b * T + t) * D));
      std::fill_n(weights_.begin() + static_cast<std::ptrdiff_t>((b * T + t) * D), D, row_weights_[t]);
    }
  }
  if (options_.jacobian == GuidanceJacobian::Identity) return;
  error_.resize(n);
  product_.resize(n);
  if (options_.jacobian != GuidanceJacobian::FiniteDifferences) return;
  for (std::vector<float>* scratch : {&probe_, &ahead_, &behind_}) scratch->resize(n);
}

void Guidance::give(int rows, std::span<float> x) const noexcept {
  const std::size_t given = static_cast<std::size_t>(rows) * row_size_;
  for (std::size_t chunk = 0; chunk < x.size(); chunk += chunk_size_)
    for (std::size_t i = chunk; i < chunk + given; ++i) x[i] = static_cast<float>(target_[i]);
}

void Guidance::hold(int rows, std::span<float> v) const noexcept {
  const std::size_t given = static_cast<std::size_t>(rows) * row_size_;
  for (std::size_t chunk = 0; chunk < v.size(); chunk += chunk_size_)
    std::fill_n(v.begin() + static_cast<std::ptrdiff_t>(chunk), given, 0.0F);
}

double Guidance::strength(double tau) const noexcept {
  const double spread = tau * (1 - tau);
  if (!(spread > 0)) return options_.max_weight;
  return std::min((tau * tau + (1 - tau) * (1 - tau)) / spread, options_.max_weight);
}

void Guidance::guide_flow(Denoiser& denoiser, std::span<const float> x, int stage, double t, int noise_at,
                          std::span<float> v) {
  // Towards the data: u = sign v, and time runs as tau.
  const double sign = noise_at == 0 ? 1 : -1, tau = noise_at == 0 ? t : 1 - t, left = 1 - tau;
  const double g = strength(tau);
  const auto error_of = [&](std::size_t i) {
    const double clean = static_cast<double>(x[i]) + left * sign * static_cast<double>(v[i]);
    return weights_[i] * (target_[i] - clean);
  };
  if (options_.jacobian == GuidanceJacobian::Identity) {
    for (std::size_t i = 0; i < v.size(); ++i)
      if (weights_[i] != 0) v[i] = static_cast<float>(static_cast<double>(v[i]) + sign * g * error_of(i));
    return;
  }
  for (std::size_t i = 0; i < v.size(); ++i) error_[i] = static_cast<float>(error_of(i));
  if (options_.jacobian == GuidanceJacobian::Vjp)
    denoiser.vjp(x, stage, t, error_, product_);
  else
    differentiate(denoiser, x, stage, t);
  for (std::size_t i = 0; i < v.size(); ++i) {
    if (!std::isfinite(product_[i]))
      throw ModelError(indexed("vjp", static_cast<long>(i)), number(static_cast<double>(product_[i])),
                       "must be finite (evaluation " + std::to_string(stage) + ")");
    const double correction = error_of(i) + left * sign * static_cast<double>(product_[i]);
    v[i] = static_cast<float>(static_cast<double>(v[i]) + sign * g * correction);
  }
}

void Guidance::differentiate(Denoiser& denoiser, std::span<const float> x, int stage, double t) {
  std::ranges::copy(x, probe_.begin());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double step = kStep * std::max(1.0, std::fabs(static_cast<double>(x[i])));
    const auto high = static_cast<float>(static_cast<double>(x[i]) + step);
    const auto low = static_cast<float>(static_cast<double>(x[i]) - step);
    probe_[i] = high;
    denoiser.evaluate(probe_, stage, t, ahead_);
    probe_[i] = low;
    denoiser.evaluate(probe_, stage, t, behind_);
    probe_[i] = x[i];
    double sum = 0;
    for (std::size_t j = 0; j < x.size(); ++j)
      sum +=
          static_cast<double>(error_[j]) * (static_cast<double>(ahead_[j]) - static_cast<double>(behind_[j]));
    product_[i] = static_cast<float>(sum / (static_cast<double>(high) - static_cast<double>(low)));
  }
}

}  // namespace vla_rt
