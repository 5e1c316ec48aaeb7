#include "inference/kernels.hpp"

#include <algorithm>

namespace vla_rt {
namespace {

/// Outputs of a panel that holds `outputs` of them, whole vectors.
int padded(const Kernels& kernels, int outputs) noexcept {
  return (outputs + kernels.width - 1) / kernels.width * kernels.width;
}

}  // namespace

const Kernels* kernels(InstructionSet set) noexcept {
  switch (set) {
    case InstructionSet::Portable:
      return portable_kernels();
    case InstructionSet::Avx2:
      return avx2_kernels();
    case InstructionSet::Avx512:
      return avx512_kernels();
  }
  return nullptr;
}

std::size_t packed_size(const Kernels& kernels, int num_rows, int taps, int depth, int outputs) noexcept {
  const int panel = kernels.panel(num_rows);
  const int rest = outputs % panel, whole = outputs - rest;
  return (static_cast<std::size_t>(whole) + static_cast<std::size_t>(padded(kernels, rest))) *
         static_cast<std::size_t>(taps) * static_cast<std::size_t>(depth);
}

void pack_matrix(const Kernels& kernels, int num_rows, int taps, int depth, int outputs, const float* weight,
                 const std::int64_t (&stride)[3], float* packed) noexcept {
  const int panel = kernels.panel(num_rows);
  for (int first = 0; first < outputs; first += panel) {
    const int count = std::min(panel, outputs - first), width = padded(kernels, count);
    for (int tap = 0; tap < taps; ++tap)
      for (int k = 0; k < depth; ++k) {
        const float* column = weight + first * stride[0] + tap * stride[1] + k * stride[2];
        for (int o = 0; o < width; ++o) *packed++ = o < count ? column[o * stride[0]] : 0.0f;
      }
  }
}

}  // namespace vla_rt
