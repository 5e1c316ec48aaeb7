#pragma once
#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>

#include "inference/arena.hpp"
#include "inference/program.hpp"
#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// A matrix of which a second thread computes the last outputs, into memory of its own.
struct SharedMatrix {
  Instruction own;     ///< the first outputs
  Instruction others;  ///< the last ones, to `from`
  const float* from;
  float* to;
  std::int64_t to_stride;
  int num_rows, columns;
  Instruction late;  ///< the last ones, to where they belong
};

/// A thread that takes half of a matrix where it is awake, so that the caller is done sooner; where it is
/// not, the caller computes all, to the same bits.
///
/// The caller never waits without bound: a half that was not begun is taken back, one that was begun and is
/// not done within `kLongestWait` turns is computed again, and the late thread, which writes to memory of its
/// own alone, gets no work until it is back. It spins between `begin` and `end` and a little after, and else
/// looks every 50 us whether there is work. Thread: one caller. Real-time: `begin`, `end` and `run` make no
/// system call and take no lock.
class VLA_RT_API SecondThread {
 public:
  explicit SecondThread(const Kernels& kernels);
  ~SecondThread();
  SecondThread(const SecondThread&) = delete;
  SecondThread& operator=(const SecondThread&) = delete;

  void begin() noexcept { in_use_.store(true, std::memory_order_relaxed); }
  void end() noexcept { in_use_.store(false, std::memory_order_relaxed); }
  void run(const SharedMatrix& matrix) noexcept;

  static constexpr int kLongestWait = 50'000;  ///< turns of a spinning loop, about a millisecond

 private:
  enum class State : std::uint8_t { Idle, Offered, Taken, Done };

  void loop() noexcept;
  [[nodiscard]] bool offer(const Instruction& job) noexcept;
  /// Whether the job was done; waits for one that was begun, but not for ever.
  [[nodiscard]] bool finish() noexcept;

  const Kernels& kernels_;
  alignas(64) std::atomic<State> state_{State::Idle};
  const Instruction* job_ = nullptr;  ///< handed over by `state_`
  alignas(64) std::atomic<bool> in_use_{false}, leaving_{false};
  std::thread thread_;
};

/// How a second thread shares a matrix with its caller; nothing where that is not worth its while. Memory of
/// the second thread comes from `arena`, as much for all matrices together as for the largest.
class VLA_RT_API MatrixSharing {
 public:
  MatrixSharing(const Kernels& kernels, Arena& arena) : kernels_(kernels), arena_(arena) {}
  [[nodiscard]] std::optional<SharedMatrix> share(const Instruction& matrix);

 private:
  [[nodiscard]] float* memory(std::int64_t floats);

  const Kernels& kernels_;
  Arena& arena_;
  float* memory_ = nullptr;
  std::int64_t size_ = 0;
};

}  // namespace vla_rt
