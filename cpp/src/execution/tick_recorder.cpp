#include "vla_rt/execution/tick_recorder.hpp"

#include <chrono>
#include <cmath>
#include <new>

namespace vla_rt {
namespace {

constexpr std::size_t kRingCapacity = 2048;  // 2 s of a 1 kHz loop
constexpr std::chrono::milliseconds kDrainPeriod{10};

template <class T>
std::vector<T> rotated(const std::vector<T>& rows, std::size_t first) {
  std::vector<T> result(rows.begin() + static_cast<std::ptrdiff_t>(first), rows.end());
  result.insert(result.end(), rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(first));
  return result;
}

}  // namespace

double TickRecorder::SumOfSquares::rms() const noexcept {
  return n == 0 ? 0 : std::sqrt(sum / static_cast<double>(n));
}

TickRecorder::TickRecorder(int num_joints, std::size_t trace_rows)
    : ring_(kRingCapacity), capacity_(trace_rows) {
  rows_.num_joints = num_joints;
}

TickRecorder::~TickRecorder() { stop(); }

void TickRecorder::start() {
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      wake_.wait_for(lock, kDrainPeriod);
      lock.unlock();
      drain();
      lock.lock();
    }
  });
}

void TickRecorder::stop() noexcept {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  drain();
}

void TickRecorder::drain() {
  TickRecord record;
  while (ring_.pop(record)) take(record);
}

void TickRecorder::take(const TickRecord& record) {
  const auto measured = record.signal(Signal::MeasuredPosition),
             command = record.signal(Signal::CommandPosition), target = record.signal(Signal::Target);
  const bool follows = has_last_ && last_.tick + 1 == record.tick;
  for (std::size_t j = 0; j < measured.size(); ++j) {
    if (record.follows_plan) limiting_.add(target[j] - command[j]);
    if (follows && std::isfinite(measured[j]))
      tracking_.add(measured[j] - last_.signal(Signal::CommandPosition)[j]);
  }
  last_ = record;
  has_last_ = true;

  if (capacity_ == 0) return;
  const std::size_t width = kNumSignals * static_cast<std::size_t>(record.num_joints);
  if (rows_.rows() < capacity_) {
    try {
      append(record, width);
    } catch (const std::bad_alloc&) {  // the arm moves on: from here on the newest of what there was room for
      capacity_ = rows_.values.size() / width;
      rows_.time_ns.resize(capacity_);
      rows_.wakeup_ns.resize(capacity_);
      rows_.compute_ns.resize(capacity_);
      rows_.status.resize(capacity_);
      rows_.chunk_sequence.resize(capacity_);
    }
    return;
  }
  overwrite(record, width);
}

void TickRecorder::append(const TickRecord& record, std::size_t width) {
  rows_.time_ns.push_back(record.time_ns);
  rows_.wakeup_ns.push_back(record.wakeup_ns);
  rows_.compute_ns.push_back(record.compute_ns);
  rows_.status.push_back(record.status);
  rows_.chunk_sequence.push_back(record.chunk_sequence);
  rows_.values.insert(rows_.values.end(), record.values.begin(),
                      record.values.begin() + static_cast<std::ptrdiff_t>(width));  // last: whole rows alone
}

void TickRecorder::overwrite(const TickRecord& record, std::size_t width) noexcept {
  rows_.time_ns[oldest_] = record.time_ns;
  rows_.wakeup_ns[oldest_] = record.wakeup_ns;
  rows_.compute_ns[oldest_] = record.compute_ns;
  rows_.status[oldest_] = record.status;
  rows_.chunk_sequence[oldest_] = record.chunk_sequence;
  std::copy_n(record.values.begin(), width,
              rows_.values.begin() + static_cast<std::ptrdiff_t>(oldest_ * width));
  oldest_ = (oldest_ + 1) % capacity_;
}

Trace TickRecorder::trace() const {
  const std::size_t width = kNumSignals * static_cast<std::size_t>(rows_.num_joints);
  return {rows_.num_joints,
          rotated(rows_.time_ns, oldest_),
          rotated(rows_.wakeup_ns, oldest_),
          rotated(rows_.compute_ns, oldest_),
          rotated(rows_.status, oldest_),
          rotated(rows_.chunk_sequence, oldest_),
          rotated(rows_.values, oldest_ * width)};
}

double TickRecorder::tracking_rms() const noexcept { return tracking_.rms(); }
double TickRecorder::limiting_rms() const noexcept { return limiting_.rms(); }

}  // namespace vla_rt
