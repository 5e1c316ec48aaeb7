#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace vla_rt::rt {

/// Each function asks the kernel for one thing. Empty: granted; otherwise the sentence for
/// RealtimeGrant::refused.
[[nodiscard]] std::string lock_memory();
[[nodiscard]] std::string bind_this_thread(int cpu);
[[nodiscard]] std::string make_this_thread_fifo(int priority);

/// Thread-local storage of all loaded objects; glibc takes it from every thread's stack.
[[nodiscard]] std::size_t thread_local_bytes() noexcept;

/// Touches `bytes` of the calling thread's stack below the caller.
void prefault_stack(std::size_t bytes) noexcept;

/// Keeps the CPUs out of deep idle states for as long as it lives.
class CpuAwake {
 public:
  CpuAwake() = default;
  ~CpuAwake() { release(); }
  CpuAwake(const CpuAwake&) = delete;
  CpuAwake& operator=(const CpuAwake&) = delete;
  [[nodiscard]] std::string acquire();
  void release() noexcept;

 private:
  int file_ = -1;
};

}  // namespace vla_rt::rt
