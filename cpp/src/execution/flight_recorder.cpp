#include "vla_rt/execution/flight_recorder.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <limits>
#include <mutex>
#include <thread>

#include "execution/flight_format.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/rt/spsc_ring.hpp"

namespace vla_rt {
namespace {

constexpr std::size_t kTickRing = 2048, kChunkRing = 16, kSnapshotRing = 4, kPictureRing = 16;
constexpr std::chrono::milliseconds kDrainPeriod{10};
constexpr int kSyncPeriods = 100;          // of these: a power cut costs a second
constexpr std::size_t kBuffer = 1u << 20;  // bytes written at once at most

}  // namespace

struct FlightRecorder::Impl {
  const std::string path;
  FlightSetup setup;
  const std::uint64_t max_bytes;
  const bool keeps_pictures;
  SpscRing<FlightTick> ticks{kTickRing};
  SpscRing<FlightChunk> chunks{kChunkRing};
  SpscRing<FlightSnapshot> snapshots{kSnapshotRing};
  SpscRing<std::shared_ptr<const FlightPicture>> pictures{kPictureRing};
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
  bool to_be_rotated = false;  // with the next snapshot, which the new file begins with
  bool in_hand = false;        // `snapshot` waits for its tick
  FlightTick tick;
  FlightChunk chunk;
  FlightSnapshot snapshot;
  std::shared_ptr<const FlightPicture> picture;

  Impl(const std::string& path_in, const FlightSetup& setup_in, std::uint64_t max_bytes_in, bool pictures_in)
      : path(path_in), setup(setup_in), max_bytes(max_bytes_in), keeps_pictures(pictures_in) {}

  // What a file begins with.
  [[nodiscard]] bool begin() noexcept {
    file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bytes = 0;
    to_be_rotated = false;
    if (file < 0) return false;
    std::vector<char> head(execution::kFileMagic.begin(), execution::kFileMagic.end());
    execution::append(setup, head);
    if (write_whole(head)) return true;
    const int why = errno;
    ::close(file);
    file = -1;
    errno = why;
    return false;
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
  void append(const Record& record) {
    execution::append(record, buffer);
    ++buffered;
    if (buffer.size() > kBuffer) flush();
  }

  void flush() noexcept {
    if (buffered == 0) return;
    if (file < 0 && begin()) want_snapshot();  // the disk was full when the file before had ended
    (file >= 0 && write_whole(buffer) ? written : refused).fetch_add(buffered, std::memory_order_relaxed);
    buffer.clear();
    buffered = 0;
    if (bytes <= max_bytes / 2) return;
    if (!to_be_rotated) want_snapshot();
    to_be_rotated = true;
    if (bytes <= max_bytes / 2 + kBuffer) return;
    rotate();  // no snapshot came
    want_snapshot();
  }

  void want_snapshot() noexcept { snapshot_wanted.store(true, std::memory_order_relaxed); }

  void rotate() noexcept {
    ::close(file);
    ++setup.part;
    std::rename(path.c_str(), (path + ".1").c_str());
    (void)begin();
  }

  // Those of ticks up to this one, each in the file before its tick.
  void take_snapshots(std::uint64_t upto) {
    while (in_hand || snapshots.pop(snapshot)) {
      in_hand = snapshot.tick > upto;
      if (in_hand) return;
      if (to_be_rotated) flush();
      if (to_be_rotated) rotate();
      append(snapshot);
    }
  }

  void drain() {
    while (chunks.pop(chunk)) append(chunk);
    while (ticks.pop(tick)) {
      take_snapshots(tick.head.tick);
      append(tick);
    }
    while (pictures.pop(picture)) append(*picture);
    picture.reset();
    flush();
  }

  void finish() {
    drain();
    take_snapshots(std::numeric_limits<std::uint64_t>::max());
    flush();
    if (file < 0) return;
    fdatasync(file);
    ::close(file);
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

FlightRecorder::FlightRecorder(const std::string& path, const FlightSetup& setup, std::uint64_t max_bytes,
                               bool keeps_pictures) {
  if (max_bytes < (1u << 20))
    throw ConfigError("max_bytes", std::to_string(max_bytes), "must be at least 1048576");
  impl_ = std::make_unique<Impl>(path, setup, max_bytes, keeps_pictures);
  impl_->buffer.reserve(2 * kBuffer);
  if (!impl_->begin()) {
    const std::string why = std::strerror(errno);
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

void FlightRecorder::push(const std::shared_ptr<const FlightPicture>& picture) noexcept {
  if (picture->pixels.size() <= FlightPicture::kMaxBytes && picture->name.size() < 1024)
    impl_->pictures.push(picture);
  else
    impl_->refused.fetch_add(1, std::memory_order_relaxed);
}
bool FlightRecorder::keeps_pictures() const noexcept { return impl_->keeps_pictures; }

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
  s.finish();
}

std::uint64_t FlightRecorder::written() const noexcept {
  return impl_->written.load(std::memory_order_relaxed);
}
std::size_t FlightRecorder::pending() const noexcept {
  return impl_->ticks.size() + impl_->chunks.size() + impl_->snapshots.size() + impl_->pictures.size();
}
std::uint64_t FlightRecorder::dropped() const noexcept {
  return impl_->ticks.dropped() + impl_->chunks.dropped() + impl_->snapshots.dropped() +
         impl_->pictures.dropped() + impl_->refused.load(std::memory_order_relaxed);
}

}  // namespace vla_rt
