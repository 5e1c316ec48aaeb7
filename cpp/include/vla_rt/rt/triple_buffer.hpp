#pragma once
#include <array>
#include <atomic>
#include <cstdint>

namespace vla_rt {

/// Wait-free hand-over of the newest value from one writer thread to one reader thread.
///
/// The writer fills `back()` in place and publishes; the reader takes the newest value with `update()` and reads
/// `front()` until its next `update()`. Neither ever waits or sees a half-written value; older values are dropped.
/// Real-time: wait-free, no allocation. Thread: one writer, one reader.
template <class T>
class TripleBuffer {
 public:
  /// The slot being written. Holds an old value of the writer's, not necessarily the last one.
  [[nodiscard]] T& back() noexcept { return slots_[back_]; }

  /// Hands `back()` over; `back()` is another slot afterwards.
  void publish() noexcept {
    // Release: the slot's content is visible before its index; acquire: the reader is done with the slot we get.
    back_ = middle_.exchange(static_cast<std::uint8_t>(back_ | kFresh), std::memory_order_acq_rel) & kIndex;
  }

  /// Takes the newest value. False when nothing was published since the last call; `front()` is then unchanged.
  bool update() noexcept {
    if (!(middle_.load(std::memory_order_relaxed) & kFresh)) return false;
    front_ = middle_.exchange(front_, std::memory_order_acq_rel) & kIndex;
    return true;
  }

  [[nodiscard]] const T& front() const noexcept { return slots_[front_]; }

  /// Visits every slot; only before the threads start (to size and prefault them).
  template <class F>
  void for_each_slot(F&& visit) {
    for (T& slot : slots_) visit(slot);
  }

 private:
  static constexpr std::uint8_t kIndex = 3, kFresh = 4;
  static constexpr std::size_t kCacheLine = 64;

  std::array<T, 3> slots_{};
  alignas(kCacheLine) std::uint8_t back_ = 0;
  alignas(kCacheLine) std::atomic<std::uint8_t> middle_{1};
  alignas(kCacheLine) std::uint8_t front_ = 2;
};

}  // namespace vla_rt
