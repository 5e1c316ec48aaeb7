#include "inference/kernels.hpp"

#include <algorithm>
#include <cstring>

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
    case InstructionSet::Avx512Bf16:
      return avx512_bf16_kernels();
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
  const std::int64_t length = std::int64_t{taps} * depth;
  for (int tap = 0; tap < taps; ++tap)  // the weight is read front to back where its outputs are neighbours
    for (int k = 0; k < depth; ++k) {
      const float* row = weight + tap * stride[1] + k * stride[2];
      float* place = packed;
      for (int first = 0; first < outputs; first += panel) {
        const int count = std::min(panel, outputs - first), width = padded(kernels, count);
        float* to = place + (std::int64_t{tap} * depth + k) * width;
        if (stride[0] == 1)
          std::memcpy(to, row + first, static_cast<std::size_t>(count) * sizeof(float));
        else
          for (int o = 0; o < count; ++o) to[o] = row[(first + o) * stride[0]];
        std::fill(to + count, to + width, 0.0f);
        place += length * width;
      }
    }
}

namespace {

/// Outputs `first` .. `first + count` of `Group` neighbours along the depth, of which `depth` are there.
template <class Element, int Group>
void pack_group(const Element* weight, std::int64_t output_stride, std::int64_t depth_stride, int depth,
                int count, Element* to) noexcept {
  static constexpr Element kNothing[1] = {};
  const Element* from[Group];
  std::int64_t step[Group];
  for (int g = 0; g < Group; ++g) {
    from[g] = g < depth ? weight + g * depth_stride : kNothing;
    step[g] = g < depth ? output_stride : 0;
  }
  if (depth == Group && output_stride == 1) {
    for (int o = 0; o < count; ++o)
      for (int g = 0; g < Group; ++g) to[o * Group + g] = from[g][o];
  } else {
    for (int o = 0; o < count; ++o)
      for (int g = 0; g < Group; ++g) to[o * Group + g] = from[g][o * step[g]];
  }
}

template <class Element, int Group>
void pack_panels(const Kernels& kernels, int num_rows, int taps, int depth, int outputs,
                 const Element* weight, const std::int64_t (&stride)[3], std::byte* packed) noexcept {
  const int panel = kernels.panel(num_rows), groups = (depth + Group - 1) / Group;
  constexpr std::size_t kSums = sizeof(Element) == 1 ? sizeof(float) : 0;
  for (int tap = 0; tap < taps; ++tap)
    for (int k = 0; k < groups; ++k) {
      const Element* row = weight + tap * stride[1] + k * Group * stride[2];
      std::byte* place = packed;
      for (int first = 0; first < outputs; first += panel) {
        const int count = std::min(panel, outputs - first);
        const auto width = static_cast<std::size_t>(padded(kernels, count));
        const std::size_t whole =
            width * (static_cast<std::size_t>(groups) * Group * sizeof(Element) + kSums);
        std::byte* block = place + static_cast<std::size_t>(tap) * whole;
        auto* to =
            reinterpret_cast<Element*>(block + static_cast<std::size_t>(k) * width * Group * sizeof(Element));
        pack_group<Element, Group>(row + first * stride[0], stride[0], stride[2],
                                   std::min(Group, depth - k * Group), count, to);
        std::fill(to + count * Group, to + width * Group, Element{0});
        if constexpr (kSums != 0) {
          auto* sums = reinterpret_cast<float*>(block + whole - width * kSums);
          if (k == 0) std::fill_n(sums, width, 0.0f);
          for (std::size_t o = 0; o < width; ++o)
            for (int g = 0; g < Group; ++g)
              sums[o] += static_cast<float>(to[o * Group + static_cast<std::size_t>(g)]);
        }
        place += whole * static_cast<std::size_t>(taps);
      }
    }
}

}  // namespace

std::size_t packed_narrow_size(const Kernels& kernels, WeightType type, int num_rows, int taps, int depth,
                               int outputs) noexcept {
  const auto group = static_cast<std::size_t>(narrow_format(kernels, type).group);
  const std::size_t element = type == WeightType::Int8 ? 1 : 2, sums = type == WeightType::Int8 ? 4 : 0;
  const std::size_t groups = (static_cast<std::size_t>(depth) + group - 1) / group;
  const int panel = kernels.panel(num_rows), rest = outputs % panel;
  const auto width = static_cast<std::size_t>(outputs - rest + padded(kernels, rest));
  return width * static_cast<std::size_t>(taps) * (groups * group * element + sums);
}

void pack_narrow(const Kernels& kernels, WeightType type, int num_rows, int taps, int depth, int outputs,
                 const void* weight, const std::int64_t (&stride)[3], std::byte* packed) noexcept {
  const int group = narrow_format(kernels, type).group;
  const auto* bytes = static_cast<const std::int8_t*>(weight);
  if (type == WeightType::BFloat16)
    pack_panels<std::uint16_t, 2>(kernels, num_rows, taps, depth, outputs,
                                  static_cast<const std::uint16_t*>(weight), stride, packed);
  else if (group == 4)
    pack_panels<std::int8_t, 4>(kernels, num_rows, taps, depth, outputs, bytes, stride, packed);
  else
    pack_panels<std::int8_t, 2>(kernels, num_rows, taps, depth, outputs, bytes, stride, packed);
}

}  // namespace vla_rt
