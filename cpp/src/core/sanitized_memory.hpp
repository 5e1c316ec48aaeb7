#pragma once
#include <cstddef>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

// AddressSanitizer sees a mapping as one piece of memory: told what of it is in use, it sees what is not.

namespace vla_rt {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMemoryIsChecked = true;
inline void close_memory(const void* begin, std::size_t size) noexcept {
  __asan_poison_memory_region(begin, size);
}
inline void open_memory(const void* begin, std::size_t size) noexcept {
  __asan_unpoison_memory_region(begin, size);
}
#else
constexpr bool kMemoryIsChecked = false;
inline void close_memory(const void* /*begin*/, std::size_t /*size*/) noexcept {}
inline void open_memory(const void* /*begin*/, std::size_t /*size*/) noexcept {}
#endif

}  // namespace vla_rt
