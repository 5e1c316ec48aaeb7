// Between two ticks a RealtimeThread makes one kind of system call, its sleep.
#include <doctest/doctest.h>

#include "instruments/syscall_trap.hpp"
#include "vla_rt/rt/realtime_thread.hpp"

using namespace vla_rt;

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)  // the sanitizers make calls of their own
namespace {

class Watched final : public PeriodicTask {
 public:
  explicit Watched(long forbidden) : forbidden_(forbidden) {}
  bool tick(const TickTime& time) noexcept override {
    if (ticks_ == 0) syscall_trap::arm();
    if (ticks_ == 20 && forbidden_ >= 0) syscall(forbidden_);
    if (ticks_ % 7 == 3) {  // late, so that the skipping of deadlines is watched too
      while (steady_now() < time.scheduled_ns + 2'500'000) {
      }
    }
    if (++ticks_ == 50)
      _exit(syscall_trap::kClean);  // before the thread's own end, which is not part of the loop
    return true;
  }

 private:
  long forbidden_;
  int ticks_ = 0;
};

/// Exit code of a process that runs 50 watched ticks.
int watched_ticks(TimeNs spin_ns, long forbidden) {
  return syscall_trap::exit_code_of([=] {
    RealtimeConfig config;
    config.lock_memory = false;
    config.spin_ns = spin_ns;
    Watched task(forbidden);
    RealtimeThread thread(config);
    thread.start(task);
    thread.join();
  });
}

}  // namespace

TEST_CASE("between two ticks there is no system call but the sleep") {
  const int caught = watched_ticks(200'000, SYS_getppid);
  if (caught == syscall_trap::kNoFilter) {
    MESSAGE("seccomp is not available: not tested");
    return;
  }
  REQUIRE(caught == syscall_trap::exit_code(SYS_getppid));  // the trap itself works
  // Where the clock is read by a system call, none of this can hold: `vla-rt doctor` says so.
  CHECK(watched_ticks(200'000, -1) == syscall_trap::kClean);
  CHECK(watched_ticks(0, -1) == syscall_trap::kClean);
}
#endif
