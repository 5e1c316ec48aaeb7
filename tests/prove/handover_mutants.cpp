// The hand-over structures under ThreadSanitizer with one memory order weakened at a time (MUTANT 1..n; 0 is
// the code as it ships). The headers themselves are compiled with the weaker order, so that no copy can drift
// from them. tsan.sh demands silence for 0 and a data race for every other: a sanitizer that cannot see them
// proves nothing.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/errors.hpp"

#if MUTANT == 1  // triple buffer: neither side orders anything
#define memory_order_acq_rel memory_order_relaxed
#elif MUTANT == 2  // triple buffer: the value may be published before it is written
#define memory_order_acq_rel memory_order_acquire
#elif MUTANT == 3  // triple buffer: the slot may be used before the other side is done with it
#define memory_order_acq_rel memory_order_release
#elif MUTANT == 4  // ring: the index may be visible before the value
#define memory_order_release memory_order_relaxed
#elif MUTANT == 5  // ring: the value may be read before the index
#define memory_order_acquire memory_order_relaxed
#endif
#include "vla_rt/rt/spsc_ring.hpp"
#include "vla_rt/rt/triple_buffer.hpp"
#undef memory_order_acq_rel
#undef memory_order_release
#undef memory_order_acquire

#if MUTANT == 6  // sequence lock: the counter may be even before the words are there
#undef __ATOMIC_RELEASE
#define __ATOMIC_RELEASE __ATOMIC_RELAXED
#elif MUTANT == 7  // sequence lock: the words may be read before the counter
#undef __ATOMIC_ACQUIRE
#define __ATOMIC_ACQUIRE __ATOMIC_RELAXED
#elif MUTANT == 8  // sequence lock: the words are plain memory
#define __atomic_load_n(word, order) (*(word))
#define __atomic_store_n(word, value, order) (*(word) = (value))
#elif MUTANT == 9  // sequence lock: nobody looks at the counter again
#define __atomic_fetch_add(word, value, order) begun
#endif
#include "vla_rt/execution/shared_memory.h"

namespace {

constexpr std::uint64_t kValues = 20'000;

struct Payload {
  std::array<std::uint64_t, 16> words{};
};

// No other synchronisation between the threads than the structure's own: the last value is the end.
void exercise_triple_buffer() {
  vla_rt::TripleBuffer<Payload> buffer;
  std::thread writer([&] {
    for (std::uint64_t n = 1; n <= kValues; ++n) {
      buffer.back().words.fill(n);
      buffer.publish();
      if (n % 64 == 0) std::this_thread::yield();
    }
  });
  while (!buffer.update() || buffer.front().words[0] < kValues) std::this_thread::yield();
  writer.join();
}

void exercise_ring() {
  vla_rt::SpscRing<Payload> ring(8);
  std::thread producer([&] {
    Payload payload;
    for (std::uint64_t n = 1; n <= kValues; ++n) {
      payload.words.fill(n);
      while (!ring.push(payload)) std::this_thread::yield();
    }
  });
  Payload payload;
  while (payload.words[0] < kValues)
    if (!ring.pop(payload)) std::this_thread::yield();
  producer.join();
}

// What the words of the lock say is also written to plain memory, each place once, before the lock is
// released: that must be ordered by the counter, and ThreadSanitizer sees when it is not. A value whose words
// differ is told by the exit code.
bool exercise_sequence_lock() {
  static vla_rt_shm_state slot{};
  static std::array<std::uint64_t, kValues + 1> beside{};
  slot = {};
  std::atomic<bool> torn{false};
  std::thread writer([&] {
    for (std::uint64_t n = 1; n <= kValues; ++n) {
      beside[n] = n;
      vla_rt_shm_begin_write(&slot.lock);
      for (std::uint64_t& word : slot.position) vla_rt_shm_store(&word, n);
      vla_rt_shm_end_write(&slot.lock);
    }
  });
  for (std::uint64_t seen = 0; seen < kValues;) {
    const std::uint64_t begun = vla_rt_shm_begin_read(&slot.lock);
    std::uint64_t first = vla_rt_shm_load(&slot.position[0]);
    bool same = true;
    for (const std::uint64_t& word : slot.position) same = same && vla_rt_shm_load(&word) == first;
    if (!vla_rt_shm_end_read(&slot.lock, begun)) continue;
    if (!same || (first != 0 && beside[first] != first)) torn = true;
    seen = std::max(seen, first);
  }
  writer.join();
  return torn;
}

}  // namespace

int main() {
  exercise_triple_buffer();
  exercise_ring();
  // What nobody looks for shows only when both threads run at once, which a busy machine puts off.
  for (int round = 0; round < (MUTANT == 9 ? 500 : 1); ++round)
    if (exercise_sequence_lock()) {
      std::puts("torn value");
      return 67;
    }
  std::puts("done");
}
