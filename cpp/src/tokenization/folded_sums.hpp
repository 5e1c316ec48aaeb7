#pragma once
#include <cstddef>

namespace vla_rt {

/// Twice the sum of a column x[0], x[stride], ..., and twice its sum with the signs + - - + (0 for odd n),
/// rounded as FFTPACK's cosine transform rounds them on the way to frequencies 0 and n/2.
///
/// The columns are paired, then folded by the factors of n (4, then 2, 3 and 5) as the backward real Fourier
/// transform folds its real parts. Exact agreement needs n without prime factors above 5, and for the second
/// sum a power of two; otherwise the sums are plain. Real-time: no allocation; n <= 1024. Source:
/// Swarztrauber 1982, "Vectorizing the FFTs", whose FFTPACK numpy and scipy follow.
struct FoldedSums {
  double all = 0, alternating = 0;
};
[[nodiscard]] FoldedSums folded_sums(const double* column, std::size_t n, std::size_t stride) noexcept;

}  // namespace vla_rt
