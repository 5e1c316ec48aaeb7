#include "vla_rt/tokenization/cosine_transform.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "tokenization/folded_sums.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::size_t kBlock = 8;  // columns that are transformed together
// Square root of 1/2, to the nearest double and to the one below.
constexpr double kDiagonal = 0x1.6a09e667f3bcdp-1, kDiagonalBelow = 0x1.6a09e667f3bccp-1;

// Even frequencies see x[t] + x[T-1-t] only, odd ones the difference: half the products. `basis` holds, for
// each t of the first half, the weights of all T frequencies.
template <std::size_t W>
void forward_block(const double* basis, std::size_t n, std::size_t dim, const double* rows,
                   double* out) noexcept {
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t c = 0; c < W; ++c) out[k * dim + c] = 0;
  for (std::size_t t = 0; t < (n + 1) / 2; ++t) {
    const std::size_t mirror = n - 1 - t;
    std::array<double, W> sum, difference;
    for (std::size_t c = 0; c < W; ++c) {
      const double a = rows[t * dim + c], b = mirror == t ? 0.0 : rows[mirror * dim + c];
      sum[c] = a + b;
      difference[c] = a - b;
    }
    const double* weight = basis + t * n;
    for (std::size_t k = 0; k < n; k += 2)
      for (std::size_t c = 0; c < W; ++c) out[k * dim + c] += weight[k] * sum[c];
    for (std::size_t k = 1; k < n; k += 2)
      for (std::size_t c = 0; c < W; ++c) out[k * dim + c] += weight[k] * difference[c];
  }
}

template <std::size_t W>
void inverse_block(const double* basis, std::size_t n, std::size_t dim, const double* in,
                   double* rows) noexcept {
  for (std::size_t t = 0; t < (n + 1) / 2; ++t) {
    const double* weight = basis + t * n;
    std::array<double, W> even{}, odd{};
    for (std::size_t k = 0; k < n; k += 2)
      for (std::size_t c = 0; c < W; ++c) even[c] += weight[k] * in[k * dim + c];
    for (std::size_t k = 1; k < n; k += 2)
      for (std::size_t c = 0; c < W; ++c) odd[c] += weight[k] * in[k * dim + c];
    const std::size_t mirror = n - 1 - t;
    for (std::size_t c = 0; c < W; ++c) {
      rows[mirror * dim + c] = even[c] - odd[c];
      rows[t * dim + c] = even[c] + odd[c];
    }
  }
}

using Block = void (*)(const double*, std::size_t, std::size_t, const double*, double*) noexcept;
template <std::size_t... W>
constexpr std::array<Block, sizeof...(W)> forward_blocks(std::index_sequence<W...>) {
  return {&forward_block<W + 1>...};
}
template <std::size_t... W>
constexpr std::array<Block, sizeof...(W)> inverse_blocks(std::index_sequence<W...>) {
  return {&inverse_block<W + 1>...};
}
constexpr auto kForward = forward_blocks(std::make_index_sequence<kBlock>());
constexpr auto kInverse = inverse_blocks(std::make_index_sequence<kBlock>());

void transform(const std::array<Block, kBlock>& blocks, const std::vector<double>& basis, std::size_t n,
               std::span<const double> in, std::span<double> out) noexcept {
  const std::size_t dim = in.size() / n;
  for (std::size_t c = 0; c < dim; c += kBlock)
    blocks[std::min(kBlock, dim - c) - 1](basis.data(), n, dim, in.data() + c, out.data() + c);
}

}  // namespace

CosineTransform::CosineTransform(int horizon) : horizon_(horizon) {
  if (horizon < 1 || horizon > kMaxHorizon)
    throw ConfigError("horizon", std::to_string(horizon), "must be in 1.." + std::to_string(kMaxHorizon));
  const auto n = static_cast<std::size_t>(horizon);
  // cos(pi*i/(2T)) for i in 0..4T-1: every weight is one of these, its angle reduced exactly.
  std::vector<double> cosine(4 * n);
  for (std::size_t i = 0; i < cosine.size(); ++i)
    cosine[i] = static_cast<double>(std::cos(std::numbers::pi_v<long double> * static_cast<long double>(i) /
                                             static_cast<long double>(2 * n)));
  cosine[n] = cosine[3 * n] = 0;
  const std::size_t half = (n + 1) / 2;
  basis_.resize(half * n);
  scale_ = static_cast<double>(1 / std::sqrt(static_cast<long double>(2 * horizon)));
  const double first = std::sqrt(1.0 / horizon), other = std::sqrt(2.0 / horizon);
  for (std::size_t t = 0; t < half; ++t)
    for (std::size_t k = 0; k < n; ++k)
      basis_[t * n + k] = (k == 0 ? first : other) * cosine[(2 * t + 1) * k % (4 * n)];
}

void CosineTransform::forward(std::span<const double> rows, std::span<double> coefficients) const noexcept {
  const auto n = static_cast<std::size_t>(horizon_);
  const std::size_t dim = rows.size() / n;
  transform(kForward, basis_, n, rows, coefficients);

  // The weights of frequencies 0 and T/2 have one magnitude, so that columns of few values (an open or closed
  // gripper, a teleoperator's grid) fall exactly between two multiples there, and the last bit decides how
  // they are rounded. Summed and scaled as in FFTPACK, and with it scipy and the public processor, that bit
  // is the same.
  for (std::size_t c = 0; c < dim; ++c) {
    const FoldedSums sums = folded_sums(rows.data() + c, n, dim);
    coefficients[c] = sums.all * scale_ * kDiagonal;
    if (n % 2 == 0) coefficients[n / 2 * dim + c] = sums.alternating * scale_ * kDiagonalBelow;
  }
}

void CosineTransform::inverse(std::span<const double> coefficients, std::span<double> rows) const noexcept {
  transform(kInverse, basis_, static_cast<std::size_t>(horizon_), coefficients, rows);
}

}  // namespace vla_rt
