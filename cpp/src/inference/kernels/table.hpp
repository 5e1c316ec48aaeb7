#pragma once
// All kernels over the `Vec` that a vector_<set>.hpp included before this one defines.
#include "inference/kernels/attention.hpp"
#include "inference/kernels/elementwise.hpp"
#include "inference/kernels/matrix.hpp"
#include "inference/kernels/narrow.hpp"
#include "inference/kernels/rows.hpp"

namespace vla_rt {
namespace {

constexpr Kernels kTable{kWidth,
                         &matrix_panel,
                         {Bf16::kGroup, sizeof(Bf16::Input)},
                         {Int8::kGroup, sizeof(Int8::Input)},
                         &elementwise,
                         &matrix,
                         &round_rows,
                         &narrow_matrix,
                         &layer_norm,
                         &softmax,
                         &reduce,
                         &group_norm,
                         &attention,
                         &product,
                         &gather,
                         &scatter};

}  // namespace
}  // namespace vla_rt
