#pragma once
#include <atomic>
#include <chrono>
#include <thread>

namespace vla_rt::execution {

// A mutex that a control thread may try: neither trying nor unlocking calls the system, whoever waits. Those
// who wait look again every 50 µs.
class TryMutex {
 public:
  void lock() noexcept {
    while (!try_lock()) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  [[nodiscard]] bool try_lock() noexcept { return !held_.exchange(true, std::memory_order_acquire); }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

}  // namespace vla_rt::execution
