#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {

/// What happens when the kernel refuses a real-time privilege. Never a silent fallback.
enum class RealtimeMode : std::uint8_t {
  Enforce,     ///< `start` throws RealtimeError and nothing runs
  BestEffort,  ///< the thread runs and `grant` says exactly what was refused
};

/// How a periodic thread runs.
struct VLA_RT_API RealtimeConfig {
  RealtimeMode mode = RealtimeMode::BestEffort;
  int priority = 80;             ///< SCHED_FIFO priority, 1..99
  std::optional<int> cpu;        ///< CPU to stay on; none: anywhere
  bool lock_memory = true;       ///< mlockall(MCL_CURRENT | MCL_FUTURE), see RealtimeThread
  TimeNs period_ns = 1'000'000;  ///< 10 us .. 10 s
  TimeNs spin_ns = 200'000;  ///< busy wait before the deadline, 0 .. period; at most half a period is spent
  std::size_t stack_bytes =
      1u << 20;  ///< usable stack, all of it touched before the first tick; 64 KiB .. 64 MiB

  /// Throws ConfigError naming field, value and bound.
  void validate() const;
};

/// What the kernel granted to a started thread.
struct RealtimeGrant {
  bool fifo = false;              ///< runs under SCHED_FIFO at `priority`
  bool affinity = false;          ///< stays on `cpu`
  bool memory_locked = false;     ///< no page of the process is ever paged out
  bool stack_prefaulted = false;  ///< the stack was touched before the first tick
  bool cpu_awake = false;         ///< /dev/cpu_dma_latency is held at 0: no deep idle states
  int priority = 0;               ///< FIFO priority in force, 0 without
  int cpu = -1;                   ///< CPU it is bound to, -1 without
  /// One plain sentence for each thing that was asked for and refused: what, the kernel's reason, and the
  /// fix.
  std::vector<std::string> refused;
};

/// When a tick was due and when it began. Times are steady-clock nanoseconds.
struct TickTime {
  std::uint64_t index =
      0;  ///< place on the grid: scheduled_ns = start + index * period; missed places leave gaps
  TimeNs scheduled_ns = 0;   ///< when the tick was due
  TimeNs woke_ns = 0;        ///< when it began; woke_ns - scheduled_ns is the wake-up latency, never negative
  std::uint32_t missed = 0;  ///< grid places skipped since the tick before, because that one was late
};

/// The work of a periodic thread.
class VLA_RT_API PeriodicTask {
 public:
  virtual ~PeriodicTask();
  /// One tick; false ends the thread. Real-time: must not allocate, lock, throw, log or make a system call.
  virtual bool tick(const TickTime& time) noexcept VLA_RT_NONBLOCKING = 0;
};

/// A thread that calls a task once per period, with the real-time privileges that the kernel grants.
///
/// Set-up: SCHED_FIFO (reset on fork), affinity, mlockall, a stack touched in full, /dev/cpu_dma_latency at 0
/// (held until the thread ends), timer slack 1 ns, asynchronous signals left to the other threads.
/// Floating-point modes are not touched. Memory locking is for the whole process and stays after the thread:
/// every page, also of later allocations, is loaded and pinned at once. MCL_ONFAULT would pin less, but then
/// the first run of a rarely used branch (an emergency stop) would fault inside the tick. With a finite
/// RLIMIT_MEMLOCK and no CAP_IPC_LOCK it counts as refused, because later allocations would begin to fail.
///
/// Waiting: an absolute sleep until `spin_ns` (or half a period) before the deadline, then a spin on the
/// clock for the rest. A tick that ended too late for the spin is followed by a plain sleep: the thread gives
/// its CPU away once in every period, so that the kernel's throttling of real-time threads does not strike,
/// as long as a tick takes less than its period. A tick that ends after the next deadline skips to the first
/// deadline still ahead and the skipped ones are counted: never a burst of ticks to catch up.
///
/// Method: cyclictest (rt-tests) for the sleep, cactus-rt for the set-up; the final spin takes the kernel's
/// wake-up time (tens of microseconds) out of the latency. Real-time: between two ticks one clock_nanosleep,
/// and clock reads through the vDSO; nothing else. Thread: start, join and destruction from one thread;
/// request_stop and running from any.
class VLA_RT_API RealtimeThread {
 public:
  /// Throws ConfigError for a bad configuration.
  explicit RealtimeThread(const RealtimeConfig& config);
  /// Stops and joins.
  ~RealtimeThread();
  RealtimeThread(const RealtimeThread&) = delete;
  RealtimeThread& operator=(const RealtimeThread&) = delete;

  /// Starts calling `task`, which must outlive `join`; the first deadline is one period after set-up. Returns
  /// when set-up is complete. Throws RealtimeError when the thread is running already, cannot be created, or
  /// (Enforce) FIFO, affinity or memory locking was refused; nothing runs then.
  void start(PeriodicTask& task);

  /// Asks for the end after the tick in progress, at the latest one period from now.
  void request_stop() noexcept;
  /// Waits for the end; returns at once when there is nothing to wait for.
  void join() noexcept;
  /// True from `start` until the last tick has ended.
  [[nodiscard]] bool running() const noexcept;
  /// What the last `start` was granted, also the one that threw.
  [[nodiscard]] const RealtimeGrant& grant() const noexcept;
  [[nodiscard]] const RealtimeConfig& config() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
