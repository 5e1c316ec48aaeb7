#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Wait-free hand-over of the newest value from one writer thread to one reader thread.
///
/// The writer fills `back()` in place and publishes; the reader takes the newest value with `update()` and
/// reads `front()` until its next `update()`. Neither ever waits or sees a half-written value; older values
/// are dropped. Before the first `update()` that returns true, `front()` is a value-initialised T (or what
/// `for_each_slot` put there). The slots start on cache lines of their own, so that writing one never slows
/// the reading of another. Real-time: wait-free, no allocation. Thread: one writer, one reader.
template <class T>
class TripleBuffer {
 public:
  TripleBuffer() = default;
  TripleBuffer(const TripleBuffer&) = delete;
  TripleBuffer& operator=(const TripleBuffer&) = delete;

  /// Writer: the slot being written. Holds an old value of the writer's, not necessarily the last one.
  [[nodiscard]] T& back() noexcept VLA_RT_NONBLOCKING { return slots_[back_].value; }

  /// Writer: hands `back()` over; `back()` is another slot afterwards.
  void publish() noexcept VLA_RT_NONBLOCKING {
    // Release: the slot's content is visible before its index; acquire: the reader is done with the slot we
    // get.
    back_ = middle_.exchange(static_cast<std::uint8_t>(back_ | kFresh), std::memory_order_acq_rel) & kIndex;
  }

  /// Reader: takes the newest value. False when nothing was published since the last call; `front()` is
  /// unchanged.
  bool update() noexcept VLA_RT_NONBLOCKING {
    // Relaxed: only a hint, and only the writer sets the bit; the exchange below orders the content.
    if (!(middle_.load(std::memory_order_relaxed) & kFresh)) return false;
    // Acquire: the content of the slot we get; release: our reads of the old slot come before the writer
    // reuses it.
    front_ = middle_.exchange(front_, std::memory_order_acq_rel) & kIndex;
    return true;
  }

  /// Reader: the value taken last.
  [[nodiscard]] const T& front() const noexcept VLA_RT_NONBLOCKING { return slots_[front_].value; }

  /// Visits every slot; only before the threads start (to size and prefault them).
  template <class F>
  void for_each_slot(F&& visit) {
    for (Slot& slot : slots_) visit(slot.value);
  }

 private:
  static constexpr std::uint8_t kIndex = 3, kFresh = 4;
  static constexpr std::size_t kCacheLine = 64;
  struct alignas(kCacheLine) Slot {
    T value{};
  };

  // {back_, middle_ & kIndex, front_} is a permutation of {0, 1, 2} at all times.
  std::array<Slot, 3> slots_{};
  alignas(kCacheLine) std::uint8_t back_ = 0;
  alignas(kCacheLine) std::atomic<std::uint8_t> middle_{1};
  alignas(kCacheLine) std::uint8_t front_ = 2;
};

}  // namespace vla_rt
