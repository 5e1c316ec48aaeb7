#include "vla_rt/execution/violation_log.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string_view>
#include <thread>

#include "vla_rt/core/errors.hpp"
#include "vla_rt/rt/spsc_ring.hpp"

namespace vla_rt {
namespace {

constexpr std::size_t kRingCapacity = 4096;
constexpr std::chrono::milliseconds kDrainPeriod{20};

void append_number(std::string& line, double x) {
  if (!std::isfinite(x)) {
    line += "null";
    return;
  }
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), x).ptr;
  line += std::string_view(text.data(), end);
}

void write_line(const WishLogEntry& entry, std::string& line) {
  line = "{\"time_s\": ";
  append_number(line, entry.time_s);
  line += ", \"joint\": ";
  append_number(line, entry.joint);
  line += ", \"cause\": \"";
  line += to_string(entry.cause);
  line += "\", \"wanted\": ";
  append_number(line, entry.wanted);
  line += ", \"given\": ";
  append_number(line, entry.given);
  line += "}\n";
}

}  // namespace

struct ViolationLog::Impl {
  SpscRing<WishLogEntry> ring{kRingCapacity};
  std::array<WishLogEntry, ConstraintEnforcer::kLogCapacity> taken{};
  std::int64_t seen = -1;  // number of the enforcer's next entry; not known yet
  std::atomic<std::int64_t> written{0}, refused{0}, overwritten{0};

  std::FILE* file = nullptr;
  std::mutex mutex;  // guards stopping
  std::condition_variable wake;
  bool stopping = false;
  std::thread thread;

  void drain() {
    WishLogEntry entry;
    std::string line;
    while (ring.pop(entry)) {
      write_line(entry, line);
      const bool good = std::fwrite(line.data(), 1, line.size(), file) == line.size();
      (good ? written : refused).fetch_add(1, std::memory_order_relaxed);
    }
    std::fflush(file);
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      wake.wait_for(lock, kDrainPeriod);
      lock.unlock();
      drain();
      lock.lock();
    }
  }
};

ViolationLog::ViolationLog(const std::string& path) : impl_(std::make_unique<Impl>()) {
  impl_->file = std::fopen(path.c_str(), "w");
  if (impl_->file == nullptr)
    throw ConfigError("violation_log", path, std::string("cannot be written: ") + std::strerror(errno));
  try {
    impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
  } catch (...) {
    std::fclose(impl_->file);
    throw;
  }
}

ViolationLog::~ViolationLog() { close(); }

void ViolationLog::take(const ConstraintEnforcer& enforcer) noexcept VLA_RT_NONBLOCKING {
  Impl& s = *impl_;
  const std::int64_t count = enforcer.log_count();
  if (count == s.seen) return;
  const int n = enforcer.copy_log(s.taken, s.seen);
  for (int k = 0; k < n; ++k) s.ring.push(s.taken[static_cast<std::size_t>(k)]);
  if (s.seen >= 0) s.overwritten.fetch_add(count - s.seen - n, std::memory_order_relaxed);
  s.seen = count;
}

void ViolationLog::close() noexcept {
  Impl& s = *impl_;
  if (!s.thread.joinable()) return;
  {
    const std::scoped_lock lock(s.mutex);
    s.stopping = true;
  }
  s.wake.notify_all();
  s.thread.join();
  s.drain();
  std::fclose(s.file);
}

std::int64_t ViolationLog::written() const noexcept { return impl_->written.load(std::memory_order_relaxed); }
std::int64_t ViolationLog::dropped() const noexcept {
  return static_cast<std::int64_t>(impl_->ring.dropped()) + impl_->refused.load(std::memory_order_relaxed) +
         impl_->overwritten.load(std::memory_order_relaxed);
}

}  // namespace vla_rt
