// Compiled with the flags of its own instruction set; see cmake/VlaRtKernels.cmake. Everything that the
// headers define stays in the unnamed namespace of this file, so that no code of one instruction set is ever
// linked in place of another's.
#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)
#include "inference/kernels/vector_avx512.hpp"

#include "inference/kernels/narrow_avx512_bf16.hpp"

#include "inference/kernels/table.hpp"

namespace vla_rt {

const Kernels* avx512_bf16_kernels() noexcept { return &kTable; }

}  // namespace vla_rt
#else
#include "inference/kernels.hpp"

namespace vla_rt {

const Kernels* avx512_bf16_kernels() noexcept { return nullptr; }

}  // namespace vla_rt
#endif
