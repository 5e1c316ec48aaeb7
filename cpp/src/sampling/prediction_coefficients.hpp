#pragma once
#include <cmath>

#include "vla_rt/sampling/schedule.hpp"

namespace vla_rt {

/// value = x * (noisy sample) + m * (network answer).
struct Mix {
  double x = 0, m = 0;
};

/// The clean sample, for a noisy one = alpha x0 + sigma eps.
inline Mix clean_of(Prediction prediction, double alpha, double sigma) {
  switch (prediction) {
    case Prediction::Epsilon:
      return {1 / alpha, -sigma / alpha};
    case Prediction::Sample:
      return {0, 1};
    case Prediction::VPrediction:
      return {alpha, -sigma};
  }
  return {};
}

/// The noise.
inline Mix noise_of(Prediction prediction, double alpha, double sigma) {
  switch (prediction) {
    case Prediction::Epsilon:
      return {0, 1};
    case Prediction::Sample:
      return {1 / sigma, -alpha / sigma};
    case Prediction::VPrediction:
      return {sigma, alpha};
  }
  return {};
}

}  // namespace vla_rt
