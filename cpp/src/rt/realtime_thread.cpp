#include "vla_rt/rt/realtime_thread.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <limits>
#include <semaphore>

#include "rt/privileges.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::size_t kStackMargin = 128u << 10;  // glibc's own part, its frames and those of the set-up

void check(bool good, const char* name, const std::string& value, const std::string& bound) {
  if (!good) throw ConfigError(name, value, bound);
}

void pause_cpu() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

void sleep_until(TimeNs t) noexcept {
  const timespec until{.tv_sec = t / kNsPerSecond, .tv_nsec = t % kNsPerSecond};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

// All signals except those that report a fault of this very thread and the profiler's.
sigset_t signals_of_others() noexcept {
  sigset_t set;
  sigfillset(&set);
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF})
    sigdelset(&set, own);
  return set;
}

}  // namespace

PeriodicTask::~PeriodicTask() = default;

void RealtimeConfig::validate() const {
  check(mode == RealtimeMode::Enforce || mode == RealtimeMode::BestEffort, "mode",
        std::to_string(static_cast<int>(mode)), "must be Enforce or BestEffort");
  check(priority >= 1 && priority <= 99, "priority", std::to_string(priority), "must be within [1, 99]");
  if (cpu) {
    const long present = std::min<long>(sysconf(_SC_NPROCESSORS_CONF), CPU_SETSIZE);
    check(*cpu >= 0 && *cpu < present, "cpu", std::to_string(*cpu),
          "must be within [0, " + std::to_string(present - 1) + "], the CPUs of this machine");
  }
  check(period_ns >= 10'000 && period_ns <= 10 * kNsPerSecond, "period_ns", std::to_string(period_ns),
        "must be within [10000, 10000000000]");
  check(spin_ns >= 0 && spin_ns < period_ns, "spin_ns", std::to_string(spin_ns),
        "must be within [0, period_ns), period_ns = " + std::to_string(period_ns));
  check(stack_bytes >= (64u << 10) && stack_bytes <= (64u << 20), "stack_bytes", std::to_string(stack_bytes),
        "must be within [65536, 67108864]");
}

struct RealtimeThread::Impl {
  explicit Impl(const RealtimeConfig& c) : config(c), spin_ns(std::min(c.spin_ns, c.period_ns / 2)) {}

  static void* enter(void* self) noexcept {
    static_cast<Impl*>(self)->thread_main();
    return nullptr;
  }

  void thread_main() noexcept;
  void set_up_this_thread();
  void run() noexcept;
  [[nodiscard]] TimeNs wait_until(TimeNs deadline) const noexcept;

  const RealtimeConfig config;
  const TimeNs spin_ns;
  RealtimeGrant grant;
  bool must_not_run = false;
  std::exception_ptr failure;
  rt::CpuAwake cpu_awake;

  PeriodicTask* task = nullptr;
  pthread_t thread{};
  bool joinable = false;
  std::binary_semaphore set_up{0};
  std::atomic<bool> stop{false};
  std::atomic<bool> running{false};

  /// Records a refusal; `required` ones keep an enforced thread from running.
  bool granted(std::string refusal, bool required) {
    if (refusal.empty()) return true;
    grant.refused.push_back(std::move(refusal));
    must_not_run = must_not_run || (required && config.mode == RealtimeMode::Enforce);
    return false;
  }
};

void RealtimeThread::Impl::set_up_this_thread() {
  prctl(PR_SET_NAME, "vla_rt");
  prctl(PR_SET_TIMERSLACK, 1UL);
  if (config.cpu) {
    grant.affinity = granted(rt::bind_this_thread(*config.cpu), true);
    grant.cpu = grant.affinity ? *config.cpu : -1;
  }
  rt::prefault_stack(config.stack_bytes);
  grant.stack_prefaulted = true;
  // Last: everything before it may take its time at normal priority.
  grant.fifo = granted(rt::make_this_thread_fifo(config.priority), true);
  grant.priority = grant.fifo ? config.priority : 0;
}

void RealtimeThread::Impl::thread_main() noexcept {
  try {
    set_up_this_thread();
  } catch (...) {
    failure = std::current_exception();
  }
  const bool run_it = !failure && !must_not_run;
  running.store(run_it, std::memory_order_release);
  set_up.release();  // hands grant and failure to `start`; this thread does not touch them again
  if (run_it) run();
  running.store(false, std::memory_order_release);
}

TimeNs RealtimeThread::Impl::wait_until(TimeNs deadline) const noexcept {
  TimeNs now = steady_now();
  if (now < deadline - spin_ns) {
    sleep_until(deadline - spin_ns);
    while ((now = steady_now()) < deadline) pause_cpu();
  } else if (now < deadline) {
    sleep_until(deadline);
    now = steady_now();
  }
  return now;
}

void RealtimeThread::Impl::run() noexcept {
  const TimeNs period = config.period_ns;
  TickTime time;
  time.scheduled_ns = steady_now() + period;
  for (;;) {
    time.woke_ns = wait_until(time.scheduled_ns);
    if (stop.load(std::memory_order_relaxed) || !task->tick(time)) return;
    const TimeNs late = steady_now() - (time.scheduled_ns + period);
    const TimeNs skipped = late < 0 ? 0 : late / period + 1;
    time.missed = static_cast<std::uint32_t>(
        std::min<TimeNs>(skipped, std::numeric_limits<decltype(time.missed)>::max()));
    time.index += static_cast<std::uint64_t>(skipped) + 1;
    time.scheduled_ns += (skipped + 1) * period;
  }
}

RealtimeThread::RealtimeThread(const RealtimeConfig& config) {
  config.validate();
  impl_ = std::make_unique<Impl>(config);
}

RealtimeThread::~RealtimeThread() {
  request_stop();
  join();
}

void RealtimeThread::start(PeriodicTask& task) {
  Impl& self = *impl_;
  if (running()) throw RealtimeError("the thread is running already: request_stop and join it first");
  join();
  self.grant = {};
  self.failure = nullptr;
  self.must_not_run = false;
  self.task = &task;
  self.stop.store(false, std::memory_order_relaxed);
  if (self.config.lock_memory) self.grant.memory_locked = self.granted(rt::lock_memory(), true);
  self.grant.cpu_awake = self.granted(self.cpu_awake.acquire(), false);

  if (!self.must_not_run) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, self.config.stack_bytes + rt::thread_local_bytes() + kStackMargin);
    // The new thread inherits the mask: a Ctrl-C wakes some other thread, not this one's sleep.
    const sigset_t blocked = signals_of_others();
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    const int error = pthread_create(&self.thread, &attributes, &Impl::enter, &self);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
      self.cpu_awake.release();
      throw RealtimeError("the thread could not be created: " + std::string(strerrordesc_np(error)));
    }
    self.joinable = true;
    self.set_up.acquire();
  }
  if (self.failure || self.must_not_run) {
    join();
    if (self.failure) std::rethrow_exception(self.failure);
    std::string sentences;
    for (const std::string& sentence : self.grant.refused)
      sentences += (sentences.empty() ? "" : "; ") + sentence;
    throw RealtimeError("realtime", "enforce", sentences);
  }
}

void RealtimeThread::request_stop() noexcept { impl_->stop.store(true, std::memory_order_relaxed); }

void RealtimeThread::join() noexcept {
  if (impl_->joinable) pthread_join(impl_->thread, nullptr);
  impl_->joinable = false;
  impl_->cpu_awake.release();
}

bool RealtimeThread::running() const noexcept { return impl_->running.load(std::memory_order_acquire); }
const RealtimeGrant& RealtimeThread::grant() const noexcept { return impl_->grant; }
const RealtimeConfig& RealtimeThread::config() const noexcept { return impl_->config; }

}  // namespace vla_rt
