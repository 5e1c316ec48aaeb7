#pragma once
#include <cstddef>
#include <cstdint>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// One piece of zeroed memory, given out from front to back in whole cache lines, never given back: on huge
/// pages where the kernel has them, touched once so that no later access faults.
///
/// An arena made without a size gives out null and counts what would be needed. Real-time: no (system calls).
class VLA_RT_API Arena {
 public:
  Arena() = default;
  /// Throws ModelError when the memory cannot be had.
  explicit Arena(std::size_t bytes);
  ~Arena();
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;

  [[nodiscard]] bool is_counting() const noexcept { return base_ == nullptr; }
  /// Bytes given out.
  [[nodiscard]] std::size_t used() const noexcept { return used_; }
  [[nodiscard]] float* floats(std::int64_t count) {
    return static_cast<float*>(take(static_cast<std::size_t>(count) * sizeof(float)));
  }
  [[nodiscard]] std::byte* bytes(std::size_t count) { return static_cast<std::byte*>(take(count)); }
  [[nodiscard]] std::int32_t* indices(std::int64_t count) {
    return static_cast<std::int32_t*>(take(static_cast<std::size_t>(count) * sizeof(std::int32_t)));
  }
  [[nodiscard]] const float** pointers(std::int64_t count) {
    return static_cast<const float**>(take(static_cast<std::size_t>(count) * sizeof(float*)));
  }

 private:
  void* take(std::size_t bytes);

  std::byte* base_ = nullptr;
  std::size_t size_ = 0, used_ = 0;
};

}  // namespace vla_rt
