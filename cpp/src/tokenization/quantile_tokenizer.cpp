#include "vla_rt/tokenization/quantile_tokenizer.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "tokenization/edge_search.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::int64_t kMaxBins = std::int64_t{1} << 20;

std::int64_t checked_bins(std::span<const double> edges, int action_dim) {
  if (action_dim < 1) throw ConfigError("action_dim", std::to_string(action_dim), "must be >= 1");
  const auto dim = static_cast<std::size_t>(action_dim);
  const std::size_t per_row = edges.size() / dim;
  if (edges.size() % dim != 0 || per_row < 2 || per_row > kMaxBins + 1)
    throw ConfigError("edges", std::to_string(edges.size()) + " values",
                      "must have 2..1048577 for each of " + std::to_string(action_dim) + " dimensions");
  for (std::size_t i = 0; i < edges.size(); ++i) {
    if (!std::isfinite(edges[i]))
      throw ConfigError(indexed("edges", static_cast<long>(i)), number(edges[i]), "must be finite");
    if (i % per_row != 0 && edges[i] < edges[i - 1])
      throw ConfigError(indexed("edges", static_cast<long>(i)), number(edges[i]),
                        "must be >= the one before, " + number(edges[i - 1]));
  }
  return static_cast<std::int64_t>(per_row) - 1;
}

// numpy's interpolation, which is exact at both ends and monotonic.
double between(double a, double b, double t) { return t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t; }

}  // namespace

QuantileTokenizer::QuantileTokenizer(std::span<const double> edges, int action_dim)
    : Tokenizer(action_dim, action_dim, 0, checked_bins(edges, action_dim) - 1),
      edges_(edges.begin(), edges.end()) {}

QuantileTokenizer QuantileTokenizer::fit(std::span<const double> actions, int action_dim,
                                         std::int64_t num_bins) {
  if (num_bins < 1 || num_bins > kMaxBins)
    throw ConfigError("num_bins", std::to_string(num_bins), "must be in 1..1048576");
  if (action_dim < 1) throw ConfigError("action_dim", std::to_string(action_dim), "must be >= 1");
  const auto dim = static_cast<std::size_t>(action_dim);
  if (actions.empty() || actions.size() % dim != 0)
    throw ConfigError("actions", std::to_string(actions.size()) + " values",
                      "must hold at least one action of " + std::to_string(action_dim));
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (!std::isfinite(actions[i]))
      throw ConfigError(indexed("actions", static_cast<long>(i)), number(actions[i]), "must be finite");

  const std::size_t n = actions.size() / dim;
  std::vector<double> column(n), edges;
  edges.reserve(dim * (static_cast<std::size_t>(num_bins) + 1));
  for (std::size_t d = 0; d < dim; ++d) {
    for (std::size_t r = 0; r < n; ++r) column[r] = actions[r * dim + d];
    std::sort(column.begin(), column.end());
    for (std::int64_t i = 0; i <= num_bins; ++i) {
      // numpy.linspace's quantile, so that numpy.quantile of it is the same to the last bit.
      const double quantile =
          i == num_bins ? 1.0 : static_cast<double>(i) * (1.0 / static_cast<double>(num_bins));
      const double at = quantile * static_cast<double>(n - 1);
      const auto below = std::min(static_cast<std::size_t>(at), n - 1);
      const std::size_t above = std::min(below + 1, n - 1);
      edges.push_back(between(column[below], column[above], at - static_cast<double>(below)));
    }
    const auto row = edges.end() - (num_bins + 1);
    for (auto edge = row + 1; edge != edges.end(); ++edge) *edge = std::max(*edge, *(edge - 1));
  }
  return {edges, action_dim};
}

void QuantileTokenizer::encode_one(std::span<const double> action,
                                   std::span<std::int64_t> tokens) const noexcept {
  const std::ptrdiff_t bins = num_bins();
  for (std::size_t d = 0; d < action.size(); ++d)  // the inner edges only: the outer bins have no end
    tokens[d] =
        edges_up_to(edges_.data() + static_cast<std::ptrdiff_t>(d) * (bins + 1) + 1, bins - 1, action[d]);
}

void QuantileTokenizer::decode_one(std::span<const std::int64_t> tokens,
                                   std::span<double> action) const noexcept {
  const auto per_row = static_cast<std::size_t>(num_bins() + 1);
  for (std::size_t d = 0; d < action.size(); ++d) {
    const std::size_t i = d * per_row + static_cast<std::size_t>(tokens[d]);
    action[d] = edges_[i] / 2 + edges_[i + 1] / 2;  // halved first: the sum of two edges may overflow
  }
}

}  // namespace vla_rt
