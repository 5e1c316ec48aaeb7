#pragma once
#include <cstddef>

namespace vla_rt {

/// How many of n ascending edges are <= x, as std::upper_bound, without branches that data could mispredict.
inline std::ptrdiff_t edges_up_to(const double* edges, std::ptrdiff_t n, double x) noexcept {
  if (n == 0) return 0;
  const double* first = edges;
  while (n > 1) {
    const std::ptrdiff_t half = n / 2;
    first += half * static_cast<std::ptrdiff_t>(first[half - 1] <= x);
    n -= half;
  }
  return first - edges + (*first <= x ? 1 : 0);
}

}  // namespace vla_rt
