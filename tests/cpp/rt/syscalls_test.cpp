// Between two ticks a RealtimeThread makes one kind of system call, its sleep: a seccomp filter, put on that
// thread alone by its own first tick, turns every other one into a signal, whose handler ends the process
// with its number.
#include <doctest/doctest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "vla_rt/rt/realtime_thread.hpp"

using namespace vla_rt;

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)  // the sanitizers make calls of their own
namespace {

constexpr int kClean = 0, kNoFilter = 254, kUnknown = 255;

void end_with_number(int, siginfo_t* info, void*) { _exit(info->si_syscall % 253 + 1); }

bool allow_only_sleeping() noexcept {
  std::array filter{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_nanosleep, 2, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

class Watched final : public PeriodicTask {
 public:
  explicit Watched(long forbidden) : forbidden_(forbidden) {}
  bool tick(const TickTime& time) noexcept override {
    if (ticks_ == 0 && !allow_only_sleeping()) _exit(kNoFilter);
    if (ticks_ == 20 && forbidden_ >= 0) syscall(forbidden_);
    if (ticks_ % 7 == 3) {  // late, so that the skipping of deadlines is watched too
      while (steady_now() < time.scheduled_ns + 2'500'000) {
      }
    }
    if (++ticks_ == 50) _exit(kClean);  // before the thread's own end, which is not part of the loop
    return true;
  }

 private:
  long forbidden_;
  int ticks_ = 0;
};

/// Exit code of a process that runs 50 watched ticks.
int watched_ticks(TimeNs spin_ns, long forbidden) {
  const pid_t child = fork();
  if (child == 0) {
    struct sigaction action{};
    action.sa_sigaction = &end_with_number;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSYS, &action, nullptr);
    RealtimeConfig config;
    config.lock_memory = false;
    config.spin_ns = spin_ns;
    Watched task(forbidden);
    RealtimeThread thread(config);
    thread.start(task);
    thread.join();
    _exit(kUnknown);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : kUnknown;
}

}  // namespace

TEST_CASE("between two ticks there is no system call but the sleep") {
  const int caught = watched_ticks(200'000, SYS_getppid);
  if (caught == kNoFilter) {
    MESSAGE("seccomp is not available: not tested");
    return;
  }
  REQUIRE(caught == SYS_getppid % 253 + 1);  // the trap itself works
  // Where the clock is read by a system call, none of this can hold: `vla-rt doctor` says so.
  CHECK(watched_ticks(200'000, -1) == kClean);
  CHECK(watched_ticks(0, -1) == kClean);
}
#endif
