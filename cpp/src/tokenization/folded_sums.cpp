#include "tokenization/folded_sums.hpp"

#include <array>
#include <span>

namespace vla_rt {
namespace {

constexpr std::size_t kMaxLength = 1024;

// Halves, quarters, ... the length of a sequence whose real parts are r[0] .. r[length/2].
void fold(std::span<double> r, std::size_t radix, std::size_t part) noexcept {
  const std::size_t half = radix * part / 2;
  const auto at = [&](std::size_t m) {
    switch (radix) {
      case 2:
        return r[m] + r[part - m];
      case 3:
        return r[m] + (r[part + m] + r[part - m]);
      case 4:
        return (r[m] + r[half - m]) + (r[part + m] + r[part - m]);
      default:
        return r[m] + (r[part + m] + r[part - m]) + (r[2 * part + m] + r[2 * part - m]);
    }
  };
  const double first = at(0);
  std::array<double, kMaxLength / 2 + 1> folded;
  folded[0] = first;
  for (std::size_t m = 1; 2 * m < part; ++m) folded[m] = at(m);
  if (part % 2 == 0) folded[part / 2] = radix == 2 ? 2 * r[part / 2] : 2 * (r[part / 2] + r[3 * part / 2]);
  for (std::size_t m = 0; m <= part / 2; ++m) r[m] = folded[m];
}

}  // namespace

FoldedSums folded_sums(const double* column, std::size_t n, std::size_t stride) noexcept {
  const auto x = [&](std::size_t t) { return column[t * stride]; };

  std::array<std::size_t, 16> factors{};
  std::size_t count = 0, rest = n;
  for (; rest % 4 == 0; rest /= 4) factors[count++] = 4;
  if (rest % 2 == 0) {
    rest /= 2;
    factors[count] = factors[0];
    factors[0] = 2;
    ++count;
  }
  const bool power_of_two = rest == 1;
  for (const std::size_t odd : {std::size_t{3}, std::size_t{5}})
    for (; rest % odd == 0; rest /= odd) factors[count++] = odd;

  FoldedSums plain;
  for (std::size_t t = 0; t < n; ++t) {
    plain.all += 2 * x(t);
    plain.alternating += n % 2 != 0 ? 0 : t % 4 == 0 || t % 4 == 3 ? 2 * x(t) : -2 * x(t);
  }
  if (rest != 1 || n == 1) return plain;

  std::array<double, kMaxLength / 2 + 1> r;
  r[0] = 2 * x(0);
  for (std::size_t t = 1; t + 1 < n; t += 2) r[(t + 1) / 2] = x(t) + x(t + 1);
  if (n % 2 == 0) r[n / 2] = 2 * x(n - 1);
  std::size_t length = n;
  double alternating = plain.alternating;
  for (std::size_t i = 0; i < count; ++i) {
    length /= factors[i];
    if (power_of_two && length == 1) alternating = factors[i] == 4 ? (r[0] + r[2]) - 2 * r[1] : r[0] - r[1];
    fold(r, factors[i], length);
  }
  return {r[0], alternating};
}

}  // namespace vla_rt
