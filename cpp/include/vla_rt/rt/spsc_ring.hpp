#pragma once
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

/// Wait-free queue from one producer thread to one consumer thread that loses the newest value when it is
/// full.
///
/// Lamport's ring with cached indices (as in folly::ProducerConsumerQueue and rigtorp::SPSCQueue): each side
/// reads the other's index only when its own copy says full or empty. Indices are 64-bit and never wrap.
/// Real-time: `push` and `pop` are wait-free, no allocation; all memory is allocated and touched by the
/// constructor. Thread: one producer, one consumer; `dropped` and `size` from any thread.
template <class T>
class SpscRing {  // NOLINT(clang-analyzer-optin.performance.Padding): cache lines of their own
  static_assert(std::is_nothrow_copy_assignable_v<T> && std::is_default_constructible_v<T>,
                "a value is copied inside the tick and must not throw there");

 public:
  static constexpr std::size_t kMaxCapacity = std::size_t{1} << 30;

  /// Room for `capacity` values, rounded up to a power of two.
  /// Throws ConfigError when it is not in [1, 2^30], std::bad_alloc when there is no memory.
  explicit SpscRing(std::size_t capacity) : slots_(rounded(capacity)), mask_(slots_.size() - 1) {}
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  /// Producer: appends a copy. False (and counted) when the ring is full; nothing changes then.
  bool push(const T& value) noexcept VLA_RT_NONBLOCKING {
    const std::uint64_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_seen_ > mask_) {
      // Acquire: the consumer has finished reading the slots it gave back.
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head - tail_seen_ > mask_) {
        // One writer: no read-modify-write needed.
        dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return false;
      }
    }
    slots_[head & mask_] = value;
    head_.store(head + 1, std::memory_order_release);  // the value is visible before its index
    return true;
  }

  /// Consumer: takes the oldest value. False when the ring is empty; `value` is unchanged then.
  bool pop(T& value) noexcept VLA_RT_NONBLOCKING {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_seen_) {
      head_seen_ = head_.load(std::memory_order_acquire);  // pairs with the release in push
      if (tail == head_seen_) return false;
    }
    value = slots_[tail & mask_];
    tail_.store(tail + 1, std::memory_order_release);  // the slot is free only after it was read
    return true;
  }

  /// Values refused by `push` so far.
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t capacity() const noexcept { return slots_.size(); }
  /// Values waiting; a snapshot that may be old when it is read.
  [[nodiscard]] std::size_t size() const noexcept {
    const std::uint64_t tail =
        tail_.load(std::memory_order_acquire);  // first: never more than the head read next
    return static_cast<std::size_t>(head_.load(std::memory_order_acquire) - tail);
  }

 private:
  static std::size_t rounded(std::size_t capacity) {
    if (capacity < 1 || capacity > kMaxCapacity)
      throw ConfigError("capacity", std::to_string(capacity), "must be within [1, 2^30]");
    return std::bit_ceil(capacity);
  }

  static constexpr std::size_t kCacheLine = 64;

  std::vector<T> slots_;  // value-initialised, which writes every page once
  std::uint64_t mask_;
  // The producer's cache line, then the consumer's, which the alignment of the whole pads to its end.
  alignas(kCacheLine) std::atomic<std::uint64_t> head_{0};
  std::uint64_t tail_seen_ = 0;
  std::atomic<std::uint64_t> dropped_{0};
  alignas(kCacheLine) std::atomic<std::uint64_t> tail_{0};
  std::uint64_t head_seen_ = 0;
};

}  // namespace vla_rt
