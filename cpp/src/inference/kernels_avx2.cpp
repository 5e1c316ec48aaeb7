// Compiled with the flags of its own instruction set; see cmake/VlaRtKernels.cmake. Everything that the
// headers define stays in the unnamed namespace of this file, so that no code of one instruction set is ever
// linked in place of another's.
#if defined(__AVX2__) && defined(__FMA__)
#include "inference/kernels/vector_avx2.hpp"

#include "inference/kernels/narrow_avx2.hpp"

#include "inference/kernels/table.hpp"

namespace vla_rt {

const Kernels* avx2_kernels() noexcept { return &kTable; }

}  // namespace vla_rt
#else
#include "inference/kernels.hpp"

namespace vla_rt {

const Kernels* avx2_kernels() noexcept { return nullptr; }

}  // namespace vla_rt
#endif
