#include "vla_rt/sampling/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "sampling/enum_text.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr int kMaxTrainSteps = 10000;
constexpr double kMaxBeta = 0.999;

constexpr EnumText<BetaSchedule, 3> kBetaSchedules{{{BetaSchedule::Linear, "linear"},
                                                    {BetaSchedule::ScaledLinear, "scaled_linear"},
                                                    {BetaSchedule::SquaredCosCapV2, "squaredcos_cap_v2"}}};
constexpr EnumText<Prediction, 3> kPredictions{{{Prediction::Epsilon, "epsilon"},
                                                {Prediction::Sample, "sample"},
                                                {Prediction::VPrediction, "v_prediction"}}};
constexpr EnumText<TimestepSpacing, 3> kSpacings{{{TimestepSpacing::Leading, "leading"},
                                                  {TimestepSpacing::Linspace, "linspace"},
                                                  {TimestepSpacing::Trailing, "trailing"}}};

double beta(const DiffusionOptions& o, int t) {
  const double fraction = o.num_train_steps > 1 ? static_cast<double>(t) / (o.num_train_steps - 1) : 0.0;
  switch (o.beta_schedule) {
    case BetaSchedule::Linear:
      return o.beta_start + fraction * (o.beta_end - o.beta_start);
    case BetaSchedule::ScaledLinear: {
      const double root =
          std::sqrt(o.beta_start) + fraction * (std::sqrt(o.beta_end) - std::sqrt(o.beta_start));
      return root * root;
    }
    case BetaSchedule::SquaredCosCapV2: {
      const auto abar = [](double u) {
        const double c = std::cos((u + 0.008) / 1.008 * std::numbers::pi / 2);
        return c * c;
      };
      const double n = o.num_train_steps;
      return std::min(1 - abar((t + 1) / n) / abar(t / n), kMaxBeta);
    }
  }
  return 0;
}

}  // namespace

const char* to_string(BetaSchedule schedule) noexcept { return text_of(kBetaSchedules, schedule); }
const char* to_string(Prediction prediction) noexcept { return text_of(kPredictions, prediction); }
const char* to_string(TimestepSpacing spacing) noexcept { return text_of(kSpacings, spacing); }

BetaSchedule beta_schedule_from_string(const std::string& text, const std::string& field) {
  return value_of(kBetaSchedules, text, field);
}
Prediction prediction_from_string(const std::string& text, const std::string& field) {
  return value_of(kPredictions, text, field);
}
TimestepSpacing timestep_spacing_from_string(const std::string& text, const std::string& field) {
  return value_of(kSpacings, text, field);
}

void DiffusionOptions::validate() const {
  const auto in_range = [](const char* name, int value, int min, int max) {
    if (value < min || value > max)
      throw ConfigError(name, std::to_string(value),
                        "must be in " + std::to_string(min) + ".." + std::to_string(max));
  };
  in_range("num_train_steps", num_train_steps, 1, kMaxTrainSteps);
  in_range("num_steps", num_steps, 1, num_train_steps);
  in_range("steps_offset", steps_offset, 0, num_train_steps - 1);
  for (const auto& [name, value] : {std::pair("beta_start", beta_start), std::pair("beta_end", beta_end)})
    if (!(value > 0 && value < 1)) throw ConfigError(name, number(value), "must be in (0, 1)");
  if (!(clip_range > 0 && std::isfinite(clip_range)))
    throw ConfigError("clip_range", number(clip_range), "must be finite and > 0");
}

std::vector<double> alphas_cumprod(const DiffusionOptions& options) {
  options.validate();
  std::vector<double> result(static_cast<std::size_t>(options.num_train_steps));
  double product = 1;
  for (int t = 0; t < options.num_train_steps; ++t) {
    product *= static_cast<double>(1.0F - static_cast<float>(beta(options, t)));
    const auto abar = static_cast<float>(product);
    if (!(abar > 0 && abar < 1))
      throw ConfigError(abar > 0 ? "beta_start" : "beta_end",
                        number(abar > 0 ? options.beta_start : options.beta_end),
                        "makes abar[" + std::to_string(t) + "] " + number(static_cast<double>(abar)) +
                            ", must be within (0, 1) in float32");
    result[static_cast<std::size_t>(t)] = static_cast<double>(abar);
  }
  return result;
}

// Rounding is numpy's: half to even (`nearbyint`), linspace as i * (delta / div), arange as start + i *
// delta.
std::vector<int> diffusion_timesteps(const DiffusionOptions& options) {
  options.validate();
  const int n = options.num_train_steps, k = options.num_steps;
  std::vector<int> steps(static_cast<std::size_t>(k));
  for (int i = 0; i < k; ++i) {
    const int from_end = k - 1 - i;
    switch (options.timestep_spacing) {
      case TimestepSpacing::Leading:
        steps[static_cast<std::size_t>(i)] = from_end * (n / k) + options.steps_offset;
        break;
      case TimestepSpacing::Linspace: {
        const double step = k > 1 ? static_cast<double>(n - 1) / (k - 1) : 0;
        const double t = k > 1 && i == 0 ? n - 1 : from_end * step;
        steps[static_cast<std::size_t>(i)] = static_cast<int>(std::nearbyint(t));
        break;
      }
      case TimestepSpacing::Trailing: {
        const double ratio = static_cast<double>(n) / k;
        const double delta = (n - ratio) - n;
        steps[static_cast<std::size_t>(i)] = static_cast<int>(std::nearbyint(n + i * delta)) - 1;
        break;
      }
    }
  }
  for (const int t : {steps.front(), steps.back()})
    if (t < 0 || t >= n)
      throw ConfigError(
          "steps_offset", std::to_string(options.steps_offset),
          "leads to timestep " + std::to_string(t) + ", must be in 0.." + std::to_string(n - 1));
  return steps;
}

}  // namespace vla_rt
