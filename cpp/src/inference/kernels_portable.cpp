// Compiled with the flags of its own instruction set; see cmake/VlaRtKernels.cmake. Everything that the
// headers define stays in the unnamed namespace of this file, so that no code of one instruction set is ever
// linked in place of another's.
#include "inference/kernels/vector_portable.hpp"

#include "inference/kernels/narrow_portable.hpp"

#include "inference/kernels/table.hpp"

namespace vla_rt {

const Kernels* portable_kernels() noexcept { return &kTable; }

}  // namespace vla_rt
