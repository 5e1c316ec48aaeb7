#pragma once
// All kernels over the `Vec` that a vector_<set>.hpp included before this one defines.
#include "inference/kernels/attention.hpp"
#include "inference/kernels/elementwise.hpp"
#include "inference/kernels/matrix.hpp"
#include "inference/kernels/rows.hpp"

namespace vla_rt {
namespace {

constexpr Kernels kTable{kWidth,  &matrix_panel, &elementwise, &matrix,  &layer_norm, &softmax,
                         &reduce, &group_norm,   &attention,   &product, &gather,     &scatter};

}  // namespace
}  // namespace vla_rt
