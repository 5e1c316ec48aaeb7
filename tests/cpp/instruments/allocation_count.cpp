#include "instruments/allocation_count.hpp"

#include <cstdlib>
#include <new>

namespace {
thread_local long count = 0;  // per thread, so that other threads of the program do not disturb it
}  // namespace

long allocations() noexcept { return count; }

// Not inlined: gcc would pair malloc with delete where it sees through one of the two.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++count;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++count;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
