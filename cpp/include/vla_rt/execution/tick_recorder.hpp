#pragma once
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/execution/tick_record.hpp"
#include "vla_rt/rt/spsc_ring.hpp"

namespace vla_rt {

/// The newest ticks, oldest first: rows of equal index belong together.
struct Trace {
  std::int32_t num_joints = 0;
  std::vector<TimeNs> time_ns;
  std::vector<TimeNs> wakeup_ns;   ///< how much later than due the tick began
  std::vector<TimeNs> compute_ns;  ///< how long it took
  std::vector<Status> status;
  std::vector<std::uint64_t> chunk_sequence;
  std::vector<double> values;  ///< (rows, kNumSignals, N) row-major

  [[nodiscard]] std::size_t rows() const noexcept { return time_ns.size(); }
};

/// Takes TickRecords from the control thread without ever holding it up, and keeps the newest ones and sums.
///
/// A ring that is full loses the record and counts it; a thread of its own empties the ring.
/// Thread: `push` the control thread; everything else the owner, results after `stop`.
class VLA_RT_API TickRecorder {
 public:
  /// Keeps the newest `trace_rows` records (0: none) of N joints, fewer when memory runs out.
  TickRecorder(int num_joints, std::size_t trace_rows);
  /// Stops.
  ~TickRecorder();
  TickRecorder(const TickRecorder&) = delete;
  TickRecorder& operator=(const TickRecorder&) = delete;

  void start();
  /// Real-time: wait-free, no allocation.
  void push(const TickRecord& record) noexcept VLA_RT_NONBLOCKING { ring_.push(record); }
  /// Empties the ring for the last time and ends the thread.
  void stop() noexcept;

  [[nodiscard]] std::uint64_t dropped() const noexcept { return ring_.dropped(); }
  [[nodiscard]] Trace trace() const;
  /// Root mean square over ticks and joints of measured - commanded position, where the command is the one
  /// that was in force when the measurement was read. Finite measurements only.
  [[nodiscard]] double tracking_rms() const noexcept;
  /// Root mean square over ticks and joints of wished - commanded position, while the wish was followed.
  [[nodiscard]] double limiting_rms() const noexcept;

 private:
  struct SumOfSquares {
    double sum = 0;
    std::uint64_t n = 0;
    void add(double x) noexcept {
      sum += x * x;
      ++n;
    }
    [[nodiscard]] double rms() const noexcept;
  };

  void drain();
  void take(const TickRecord& record);
  void append(const TickRecord& record, std::size_t width);
  void overwrite(const TickRecord& record, std::size_t width) noexcept;

  SpscRing<TickRecord> ring_;
  std::size_t capacity_;  // rows of the trace
  std::thread thread_;
  std::mutex mutex_;  // guards stopping_
  std::condition_variable wake_;
  bool stopping_ = false;

  // The draining thread; the owner after `stop`.
  Trace rows_;
  std::size_t oldest_ = 0;  // row of rows_ to overwrite next, once it is full
  TickRecord last_;
  bool has_last_ = false;
  SumOfSquares tracking_, limiting_;
};

}  // namespace vla_rt
