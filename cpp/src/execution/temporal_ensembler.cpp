#include "vla_rt/execution/temporal_ensembler.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

TemporalEnsembler::TemporalEnsembler(int horizon, int action_dim, double coeff)
    : horizon_(horizon), action_dim_(action_dim), coeff_(coeff) {
  if (horizon < 1 || horizon > kMaxHorizon)
    throw ConfigError("horizon", std::to_string(horizon), "must be in 1.." + std::to_string(kMaxHorizon));
  if (action_dim < 1 || action_dim > kMaxActionDim)
    throw ConfigError("action_dim", std::to_string(action_dim),
                      "must be in 1.." + std::to_string(kMaxActionDim));
  if (!(std::isfinite(coeff) && coeff >= -2))
    throw ConfigError("coeff", number(coeff), "must be finite and >= -2");
  double sum = 0;
  for (int i = 0; i < horizon; ++i) {
    weight_.push_back(std::exp(-coeff * i));
    sum_.push_back(sum += weight_.back());
  }
  mean_.resize(static_cast<std::size_t>(horizon) * static_cast<std::size_t>(action_dim));
}

void TemporalEnsembler::update(std::span<const double> chunk, std::span<double> action) {
  const std::size_t D = static_cast<std::size_t>(action_dim_);
  if (chunk.size() != mean_.size())
    throw ConfigError("chunk", std::to_string(chunk.size()) + " numbers",
                      "must hold T * D = " + std::to_string(mean_.size()));
  if (action.size() != D)
    throw ConfigError("action", std::to_string(action.size()) + " numbers",
                      "must hold D = " + std::to_string(D));
  for (std::size_t i = 0; i < chunk.size(); ++i)
    if (!std::isfinite(chunk[i]))
      throw ConfigError("chunk[" + std::to_string(i / D) + "][" + std::to_string(i % D) + "]",
                        number(chunk[i]), "must be finite");

  for (int t = 0; t < horizon_; ++t) {
    // Of the last `chunks_` chunks those count that reached this far: the one j steps old has T - j rows
    // left.
    const std::size_t n = static_cast<std::size_t>(std::min(chunks_, horizon_ - 1 - t));
    const std::size_t row = static_cast<std::size_t>(t) * D;
    if (n == 0) {
      std::copy_n(chunk.data() + row, D, mean_.data() + row);
      continue;
    }
    for (std::size_t d = 0; d < D; ++d)
      mean_[row + d] = (mean_[row + D + d] * sum_[n - 1] + chunk[row + d] * weight_[n]) / sum_[n];
  }
  chunks_ = std::min(chunks_ + 1, horizon_);
  std::copy_n(mean_.data(), D, action.data());
}

void TemporalEnsembler::reset() noexcept { chunks_ = 0; }

}  // namespace vla_rt
