#include "vla_rt/sampling/dpm_solver_sampler.hpp"

#include <algorithm>
#include <cmath>

#include "sampling/enum_text.hpp"
#include "sampling/prediction_coefficients.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr EnumText<DPMAlgorithm, 2> kAlgorithms{{{DPMAlgorithm::DPMSolverPlusPlus, "dpmsolver++"},
                                                 {DPMAlgorithm::SDEDPMSolverPlusPlus, "sde-dpmsolver++"}}};
constexpr EnumText<DPMSolverType, 2> kSolverTypes{
    {{DPMSolverType::Midpoint, "midpoint"}, {DPMSolverType::Heun, "heun"}}};
constexpr EnumText<FinalSigmas, 2> kFinalSigmas{
    {{FinalSigmas::Zero, "zero"}, {FinalSigmas::SigmaMin, "sigma_min"}}};

constexpr int kFewSteps = 15;  // below, lower_order_final acts
constexpr double kRho = 7;

/// K + 1 points over the training steps, the one at the clean end dropped.
std::vector<int> dpm_timesteps(const DPMSolverOptions& options) {
  if (options.timestep_spacing == TimestepSpacing::Trailing) return diffusion_timesteps(options);
  const int n = options.num_train_steps, k = options.num_steps;
  const bool leading = options.timestep_spacing == TimestepSpacing::Leading;
  if (leading && k + 1 > n)
    throw ConfigError("num_steps", std::to_string(k), "must be below num_train_steps with leading spacing");
  std::vector<int> timesteps(static_cast<std::size_t>(k));
  for (int i = 0; i < k; ++i) {
    const int from_end = k - i;
    const double t = i == 0 ? n - 1 : from_end * (static_cast<double>(n - 1) / k);
    timesteps[static_cast<std::size_t>(i)] =
        leading ? from_end * (n / (k + 1)) + options.steps_offset : static_cast<int>(std::nearbyint(t));
  }
  if (timesteps.front() >= n)
    throw ConfigError("steps_offset", std::to_string(options.steps_offset),
                      "leads to timestep " + std::to_string(timesteps.front()) + ", must be in 0.." +
                          std::to_string(n - 1));
  return timesteps;
}

/// The timestep, a real number, whose noise level is `sigma`: linear in log sigma.
double timestep_of(double sigma, const std::vector<double>& sigmas) {
  if (sigmas.size() < 2) return 0;
  const auto above = std::upper_bound(sigmas.begin(), sigmas.end(), sigma);
  const auto found = std::max<std::ptrdiff_t>(above - sigmas.begin() - 1, 0);
  const auto low = std::min(static_cast<std::size_t>(found), sigmas.size() - 2);
  const double weight = std::log(sigma / sigmas[low]) / std::log(sigmas[low + 1] / sigmas[low]);
  return static_cast<double>(low) + std::clamp(weight, 0.0, 1.0);
}

struct Level {
  explicit Level(double noise_to_signal)
      : alpha(1 / std::sqrt(noise_to_signal * noise_to_signal + 1)),
        sigma(noise_to_signal * alpha),
        lambda(-std::log(noise_to_signal)) {}
  double alpha, sigma, lambda;
};

/// Weights of x0, of its first and of its second difference over a step h, s = h (ODE) or 2h (SDE). The SDE's
/// last sign is diffusers' own; the integral itself has +1/2 as the ODE.
struct Weights {
  Weights(bool stochastic, double h) {
    const double s = stochastic ? 2 * h : h;
    first = -std::expm1(-s);
    if (std::isinf(s)) return;
    second = 1 - first / s;
    third = (first - s) / (s * s) + (stochastic ? -0.5 : 0.5);
  }
  double first, second = 0, third = 0;
};

}  // namespace

const char* to_string(DPMAlgorithm algorithm) noexcept { return text_of(kAlgorithms, algorithm); }
const char* to_string(DPMSolverType type) noexcept { return text_of(kSolverTypes, type); }
const char* to_string(FinalSigmas type) noexcept { return text_of(kFinalSigmas, type); }
DPMAlgorithm dpm_algorithm_from_string(const std::string& text, const std::string& field) {
  return value_of(kAlgorithms, text, field);
}
DPMSolverType dpm_solver_type_from_string(const std::string& text, const std::string& field) {
  return value_of(kSolverTypes, text, field);
}
FinalSigmas final_sigmas_from_string(const std::string& text, const std::string& field) {
  return value_of(kFinalSigmas, text, field);
}

void DPMSolverOptions::validate() const {
  DiffusionOptions::validate();
  if (solver_order < 1 || solver_order > DiffusionSampler::kMaxOrder)
    throw ConfigError("solver_order", std::to_string(solver_order), "must be in 1..3");
}

struct DPMSolverSampler::Path {
  std::vector<int> timesteps;  // K
  std::vector<double> sigmas;  // K + 1, sigma/alpha at the start of every step and at the end
};

DPMSolverSampler::Path DPMSolverSampler::make_path(const DPMSolverOptions& options) {
  options.validate();
  std::vector<double> all = alphas_cumprod(options);
  for (double& value : all) value = std::sqrt((1 - value) / value);
  Path path;
  if (options.use_karras_sigmas) {
    const double low = std::pow(all.front(), 1 / kRho), high = std::pow(all.back(), 1 / kRho);
    const bool truncated = options.beta_schedule == BetaSchedule::SquaredCosCapV2;
    for (int i = 0; i < options.num_steps; ++i) {
      const bool last = i > 0 && i == options.num_steps - 1;
      const double ramp = i == 0 ? 0 : static_cast<double>(i) / (options.num_steps - 1);
      const double sigma = i == 0 ? all.back()
                           : last ? all.front()
                                  : std::pow(high + ramp * (low - high), kRho);
      const double t = i == 0 ? options.num_train_steps - 1 : last ? 0 : timestep_of(sigma, all);
      path.sigmas.push_back(sigma);
      path.timesteps.push_back(static_cast<int>(truncated ? t : std::nearbyint(t)));
    }
  } else {
    path.timesteps = dpm_timesteps(options);
    for (const int t : path.timesteps) path.sigmas.push_back(all[static_cast<std::size_t>(t)]);
  }
  path.sigmas.push_back(options.final_sigmas_type == FinalSigmas::Zero ? 0.0 : all.front());
  return path;
}

std::vector<DiffusionSampler::Step> DPMSolverSampler::make_steps(const DPMSolverOptions& options,
                                                                 const std::vector<double>& sigmas) {
  const std::size_t count = sigmas.size() - 1;
  const bool few = options.lower_order_final && count < kFewSteps;
  const bool stochastic = options.algorithm_type == DPMAlgorithm::SDEDPMSolverPlusPlus;
  std::vector<Step> steps(count);
  for (std::size_t k = 0; k < count; ++k) {
    const Level from(sigmas[k]);
    const Mix clean = clean_of(options.prediction, from.alpha, from.sigma);
    Step& step = steps[k];
    step.predict_x = clean.x;
    step.predict_m = clean.m;
    step.tau = from.alpha / (from.alpha + from.sigma);
    const double sigma_next = sigmas[k + 1];
    if (sigma_next == sigmas[k]) {  // no distance to go
      step.x = 1;
      continue;
    }
    const bool to_clean = sigma_next == 0;
    const Level to(to_clean ? 1.0 : sigma_next);
    const double alpha = to_clean ? 1.0 : to.alpha;
    const double h = to_clean ? INFINITY : to.lambda - from.lambda;
    const Weights weight(stochastic, h);
    step.x = to_clean ? 0.0 : to.sigma / from.sigma * (stochastic ? std::exp(-h) : 1.0);
    if (stochastic && !to_clean) step.noise = to.sigma * std::sqrt(std::max(-std::expm1(-2 * h), 0.0));

    int order = std::min<int>(options.solver_order, static_cast<int>(k) + 1);
    if (k + 1 == count && (few || options.final_sigmas_type == FinalSigmas::Zero)) order = 1;
    if (k + 2 == count && few) order = std::min(order, 2);
    // Differences over a distance of zero say nothing.
    if (order >= 3 && sigmas[k - 2] == sigmas[k - 1]) order = 2;
    if (order >= 2 && sigmas[k - 1] == sigmas[k]) order = 1;

    step.clean[0] = alpha * weight.first;
    if (order == 1) continue;
    // First differences of x0 in lambda, scaled by h: d1 = (x0_k - x0_{k-1}) / r0.
    const double r0 = (from.lambda - Level(sigmas[k - 1]).lambda) / h;
    if (order == 2) {
      const double c1 =
          alpha * (options.solver_type == DPMSolverType::Midpoint ? weight.first / 2 : weight.second) / r0;
      step.clean[0] += c1;
      step.clean[1] -= c1;
      continue;
    }
    // D1 = d1 + r0/(r0+r1) (d1 - d2), D2 = (d1 - d2)/(r0+r1), d2 = (x0_{k-1} - x0_{k-2}) / r1.
    const double r1 = (Level(sigmas[k - 1]).lambda - Level(sigmas[k - 2]).lambda) / h;
    const double c_d1 = alpha * weight.second, c_d2 = alpha * weight.third;
    const double c_difference = (c_d1 * r0 + c_d2) / (r0 + r1);
    const double newer = (c_d1 + c_difference) / r0, older = c_difference / r1;
    step.clean[0] += newer;
    step.clean[1] -= newer + older;
    step.clean[2] += older;
  }
  return steps;
}

DPMSolverSampler::DPMSolverSampler(const DPMSolverOptions& options)
    : DPMSolverSampler(options, make_path(options)) {}

DPMSolverSampler::DPMSolverSampler(const DPMSolverOptions& options, const Path& path)
    : DiffusionSampler(path.timesteps, make_steps(options, path.sigmas),
                       options.clip_sample ? options.clip_range : 0, options.solver_order),
      options_(options) {}

}  // namespace vla_rt
