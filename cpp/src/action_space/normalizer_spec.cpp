#include "vla_rt/action_space/normalizer_spec.hpp"

#include <array>
#include <cmath>
#include <utility>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::array kModes = {NormalizationMode::Identity, NormalizationMode::MeanStd,
                               NormalizationMode::MinMax, NormalizationMode::Quantiles,
                               NormalizationMode::Quantile10};
constexpr std::array kConventions = {NormalizationConvention::LeRobot, NormalizationConvention::OpenVla,
                                     NormalizationConvention::OpenPi, NormalizationConvention::Groot};

template <typename Enum, std::size_t N>
Enum from_string(const std::array<Enum, N>& all, const std::string& text, const std::string& field) {
  std::string accepted;
  for (const Enum value : all) {
    if (text == to_string(value)) return value;
    accepted += (accepted.empty() ? "" : ", ") + std::string(to_string(value));
  }
  throw ConfigError(field, "'" + text + "'", "must be one of " + accepted);
}

struct Statistic {
  const char* name;
  const std::vector<double>* values;
};

void check_ordered(const Statistic& lower, const Statistic& upper) {
  for (std::size_t i = 0; i < lower.values->size(); ++i)
    if ((*lower.values)[i] > (*upper.values)[i])
      throw ConfigError(indexed(lower.name, static_cast<long>(i)), number((*lower.values)[i]),
                        "must be <= " + std::string(upper.name) + " = " + number((*upper.values)[i]));
}

}  // namespace

const char* to_string(NormalizationMode mode) noexcept {
  switch (mode) {
    case NormalizationMode::Identity:
      return "identity";
    case NormalizationMode::MeanStd:
      return "mean_std";
    case NormalizationMode::MinMax:
      return "min_max";
    case NormalizationMode::Quantiles:
      return "quantiles";
    case NormalizationMode::Quantile10:
      return "quantile10";
  }
  return "unknown";
}

const char* to_string(NormalizationConvention convention) noexcept {
  switch (convention) {
    case NormalizationConvention::LeRobot:
      return "lerobot";
    case NormalizationConvention::OpenVla:
      return "openvla";
    case NormalizationConvention::OpenPi:
      return "openpi";
    case NormalizationConvention::Groot:
      return "groot";
  }
  return "unknown";
}

NormalizationMode normalization_mode_from_string(const std::string& text, const std::string& field) {
  return from_string(kModes, text, field);
}

NormalizationConvention normalization_convention_from_string(const std::string& text,
                                                             const std::string& field) {
  return from_string(kConventions, text, field);
}

int NormalizerSpec::dimension() const noexcept {
  for (const auto* values : {&mean, &std, &min, &max, &q01, &q99, &q10, &q90})
    if (!values->empty()) return static_cast<int>(values->size());
  return static_cast<int>(mask.size());
}

void NormalizerSpec::validate() const {
  const std::array<std::pair<Statistic, Statistic>, 4> pairs = {{{{"mean", &mean}, {"std", &std}},
                                                                 {{"min", &min}, {"max", &max}},
                                                                 {{"q01", &q01}, {"q99", &q99}},
                                                                 {{"q10", &q10}, {"q90", &q90}}}};
  if (mode != NormalizationMode::Identity) {
    const auto& [first, second] = pairs.at(static_cast<std::size_t>(mode) - 1);
    for (const Statistic& statistic : {first, second})
      if (statistic.values->empty())
        throw ConfigError(statistic.name, "", "missing; mode " + std::string(to_string(mode)) + " needs it");
  }
  const auto dim = static_cast<std::size_t>(dimension());
  const auto check_length = [dim](const std::string& name, std::size_t length) {
    if (length != dim)
      throw ConfigError(name, std::to_string(length) + " values", "must have " + std::to_string(dim));
  };
  for (const auto& [first, second] : pairs) {
    for (const Statistic& statistic : {first, second}) {
      if (statistic.values->empty()) continue;
      check_length(statistic.name, statistic.values->size());
      for (std::size_t i = 0; i < dim; ++i)
        if (!std::isfinite((*statistic.values)[i]))
          throw ConfigError(indexed(statistic.name, static_cast<long>(i)), number((*statistic.values)[i]),
                            "must be finite");
    }
    if (first.values != &mean && !first.values->empty() && !second.values->empty())
      check_ordered(first, second);
  }
  for (std::size_t i = 0; i < std.size(); ++i)
    if (std[i] < 0) throw ConfigError(indexed("std", static_cast<long>(i)), number(std[i]), "must be >= 0");
  if (mask.empty()) return;
  check_length("mask", mask.size());
  for (std::size_t i = 0; i < mask.size(); ++i)
    if (mask[i] > 1)
      throw ConfigError(indexed("mask", static_cast<long>(i)), std::to_string(mask[i]), "must be 0 or 1");
}

}  // namespace vla_rt
