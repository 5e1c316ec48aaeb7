#include "vla_rt/execution/flight_recorder.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>

#include "execution/flight_format.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/rt/spsc_ring.hpp"

namespace vla_rt {
namespace {

constexpr std::size_t kTickRing = 2048, kChunkRing = 16, kSnapshotRing = 4;
constexpr std::chrono::milliseconds kDrainPeriod{10};
constexpr int kSyncPeriods = 100;  // of these: a power cut costs a second

}  // namespace

struct FlightRecorder::Impl {
  const std::string path;
  FlightSetup setup;
  const std::uint64_t max_bytes;
  SpscRing<FlightTick> ticks{kTickRing};
  SpscRing<FlightChunk> chunks{kChunkRing};
  SpscRing<FlightSnapshot> snapshots{kSnapshotRing};
  std::atomic<bool> snapshot_wanted{true};
  std::atomic<std::uint64_t> written{0}, refused{0};

  std::mutex mutex;  // guards stopping
  std::condition_variable wake;
  bool stopping = false;
  std::thread thread;

  // The recorder's thread.
  int file = -1;
  std::uint64_t bytes = 0;  // of whole frames in the file
  std::vector<char> buffer;
  std::uint64_t buffered = 0;  // records in the buffer
  FlightTick tick;
  FlightChunk chunk;
  FlightSnapshot snapshot;

  Impl(const std::string& path_in, const FlightSetup& setup_in, std::uint64_t max_bytes_in)
      : path(path_in), setup(setup_in), max_bytes(max_bytes_in) {}

  // What a file begins with.
  [[nodiscard]] bool begin() noexcept {
    file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return false;
    bytes = 0;
    std::vector<char> head(execution::kFileMagic.begin(), execution::kFileMagic.end());
    execution::append(setup, head);
    return write_whole(head);
  }

  // All of it or, as far as the file is concerned, nothing.
  [[nodiscard]] bool write_whole(const std::vector<char>& data) noexcept {
    std::size_t done = 0;
    while (done < data.size()) {
      const ssize_t n = write(file, data.data() + done, data.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        const auto whole = static_cast<off_t>(bytes);
        if (ftruncate(file, whole) == 0) lseek(file, whole, SEEK_SET);
        return false;
      }
      done += static_cast<std::size_t>(n);
    }
    bytes += data.size();
    return true;
  }

  template <class Record>
  void take(SpscRing<Record>& ring, Record& record) {
    while (ring.pop(record)) {
      execution::append(record, buffer);
      ++buffered;
      if (buffer.size() > (1u << 20)) flush();
    }
  }

  void flush() noexcept {
    if (buffered == 0) return;
    (file >= 0 && write_whole(buffer) ? written : refused).fetch_add(buffered, std::memory_order_relaxed);
    buffer.clear();
    buffered = 0;
    if (file >= 0 && bytes > max_bytes / 2) rotate();
  }

  void rotate() noexcept {
    ::close(file);
    ++setup.part;
    std::rename(path.c_str(), (path + ".1").c_str());
    if (!begin() && file >= 0) {
      ::close(file);
      file = -1;
    }
    snapshot_wanted.store(true, std::memory_order_relaxed);
  }

  void drain() {
    take(chunks, chunk);
    take(snapshots, snapshot);
    take(ticks, tick);
    flush();
  }

  void run() {
    std::unique_lock lock(mutex);
    for (int k = 1; !stopping; ++k) {
      wake.wait_for(lock, kDrainPeriod);
      lock.unlock();
      drain();
      if (k % kSyncPeriods == 0 && file >= 0) fdatasync(file);
      lock.lock();
    }
  }
};

FlightRecorder::FlightRecorder(const std::string& path, const FlightSetup& setup, std::uint64_t max_bytes) {
  if (max_bytes < (1u << 20))
    throw ConfigError("max_bytes", std::to_string(max_bytes), "must be at least 1048576");
  impl_ = std::make_unique<Impl>(path, setup, max_bytes);
  impl_->buffer.reserve(2u << 20);
  if (!impl_->begin()) {
    const std::string why = std::strerror(errno);
    if (impl_->file >= 0) ::close(impl_->file);
    throw ConfigError("record", path, "cannot be written: " + why);
  }
  try {
    impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
  } catch (...) {
    ::close(impl_->file);
    throw;
  }
}

FlightRecorder::~FlightRecorder() { close(); }

void FlightRecorder::push(const FlightTick& tick) noexcept VLA_RT_NONBLOCKING { impl_->ticks.push(tick); }
void FlightRecorder::push(const FlightSnapshot& snapshot) noexcept VLA_RT_NONBLOCKING {
  impl_->snapshots.push(snapshot);
}
void FlightRecorder::push(const FlightChunk& chunk) noexcept VLA_RT_NONBLOCKING { impl_->chunks.push(chunk); }

bool FlightRecorder::wants_snapshot(std::uint64_t tick) noexcept VLA_RT_NONBLOCKING {
  const bool wanted = impl_->snapshot_wanted.load(std::memory_order_relaxed);
  if (wanted) impl_->snapshot_wanted.store(false, std::memory_order_relaxed);
  return wanted || tick % kSnapshotTicks == 0;
}

void FlightRecorder::close() noexcept {
  Impl& s = *impl_;
  if (!s.thread.joinable()) return;
  {
    const std::scoped_lock lock(s.mutex);
    s.stopping = true;
  }
  s.wake.notify_all();
  s.thread.join();
  s.drain();
  if (s.file >= 0) {
    fdatasync(s.file);
    ::close(s.file);
  }
}

std::uint64_t FlightRecorder::written() const noexcept {
  return impl_->written.load(std::memory_order_relaxed);
}
std::size_t FlightRecorder::pending() const noexcept {
  return impl_->ticks.size() + impl_->chunks.size() + impl_->snapshots.size();
}
std::uint64_t FlightRecorder::dropped() const noexcept {
  return impl_->ticks.dropped() + impl_->chunks.dropped() + impl_->snapshots.dropped() +
         impl_->refused.load(std::memory_order_relaxed);
}

}  // namespace vla_rt
