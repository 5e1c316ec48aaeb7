// Ends the process at the first system call of one thread that is not its sleep: a seccomp filter, put on by
// that thread itself, turns every other call into a signal whose handler exits with a code made of the
// number.
#pragma once
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>

namespace syscall_trap {

constexpr int kClean = 0, kNoFilter = 254, kUnknown = 255;

constexpr int exit_code(int syscall_number) { return syscall_number % 253 + 1; }

/// The calling thread may sleep and end the process from here on, nothing else. Exits with kNoFilter where
/// the kernel refuses filters.
inline void arm() noexcept {
  std::array filter{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_nanosleep, 2, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    _exit(kNoFilter);
}

/// Runs `watched` in a process of its own, to be left by `_exit(kClean)` while armed; the exit code.
template <typename Watched>
int exit_code_of(Watched watched) {
  const pid_t child = fork();
  if (child == 0) {
    struct sigaction action{};
    action.sa_sigaction = [](int, siginfo_t* info, void*) { _exit(exit_code(info->si_syscall)); };
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSYS, &action, nullptr);
    watched();
    _exit(kUnknown);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : kUnknown;
}

}  // namespace syscall_trap
