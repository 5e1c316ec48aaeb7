#pragma once
#include <ATen/Parallel.h>

// Entry points of the OpenMP and MKL that libtorch itself uses, resolved through it: linking another OpenMP
// runtime would set the threads of the wrong one. Weak, because a libtorch may be built without them.
extern "C" {
__attribute__((weak)) void omp_set_num_threads(int);
__attribute__((weak)) int MKL_Set_Num_Threads_Local(int);
}

namespace vla_rt {

/// One intra-op thread for the calling thread while it lives; the process-wide setting of torch is not
/// touched.
class SingleThreadGuard {
 public:
  SingleThreadGuard()
      : previous_(at::get_num_threads()) {  // also makes torch's lazy per-thread setting happen now
    if (omp_set_num_threads) omp_set_num_threads(1);
    if (MKL_Set_Num_Threads_Local) previous_mkl_ = MKL_Set_Num_Threads_Local(1);
  }
  ~SingleThreadGuard() {
    if (omp_set_num_threads) omp_set_num_threads(previous_);
    if (MKL_Set_Num_Threads_Local) MKL_Set_Num_Threads_Local(previous_mkl_);
  }
  SingleThreadGuard(const SingleThreadGuard&) = delete;
  SingleThreadGuard& operator=(const SingleThreadGuard&) = delete;

 private:
  int previous_;
  int previous_mkl_ = 0;
};

}  // namespace vla_rt
