#include "rt/privileges.hpp"

#include <alloca.h>
#include <fcntl.h>
#include <link.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace vla_rt::rt {
namespace {

std::string refusal(const std::string& what, int error, const std::string& fix) {
  const char* name = strerrorname_np(error);
  return what + " was refused: " + strerrordesc_np(error) + " (" + (name != nullptr ? name : "unknown") +
         "); " + fix;
}

bool has_capability(unsigned capability) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  return ((data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0);
}

std::string limit_text(rlim_t limit) {
  return limit == RLIM_INFINITY ? std::string("unlimited") : std::to_string(limit);
}

}  // namespace

std::string lock_memory() {
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  const std::string fix = "RLIMIT_MEMLOCK is " + limit_text(limit.rlim_cur) +
                          " bytes: add 'USER - memlock unlimited' to /etc/security/limits.conf and log in "
                          "again, or grant CAP_IPC_LOCK";
  if (limit.rlim_cur != RLIM_INFINITY && !has_capability(CAP_IPC_LOCK))
    return "locking memory would make later allocations fail and was not tried; " + fix;
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) return refusal("mlockall", errno, fix);
  return {};
}

std::string bind_this_thread(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    return refusal(
        "binding to CPU " + std::to_string(cpu), errno,
        "the CPU is offline or outside this process's cpuset: see /proc/self/status, Cpus_allowed_list");
  return {};
}

std::string make_this_thread_fifo(int priority) {
  const sched_param wanted{.sched_priority = priority};
  // Reset on fork: a process that the application starts does not inherit the priority.
  if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &wanted) == 0) return {};
  const int error = errno;
  rlimit limit{};
  getrlimit(RLIMIT_RTPRIO, &limit);
  const std::string fix =
      has_capability(CAP_SYS_NICE)
          ? std::string("the control group gives real-time threads no time: raise its cpu.rt_runtime_us")
          : "RLIMIT_RTPRIO is " + limit_text(limit.rlim_cur) +
                ": add 'USER - rtprio 99' to /etc/security/limits.conf and log in again, or grant "
                "CAP_SYS_NICE";
  return refusal("SCHED_FIFO priority " + std::to_string(priority), error, fix);
}

std::size_t thread_local_bytes() noexcept {
  std::size_t bytes = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* sum) {
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const auto& header = object->dlpi_phdr[i];
          if (header.p_type == PT_TLS) *static_cast<std::size_t*>(sum) += header.p_memsz + header.p_align;
        }
        return 0;
      },
      &bytes);
  return bytes;
}

// Not inlined: the frame must end here, so that its pages are below those of the ticks to come.
__attribute__((noinline)) void prefault_stack(std::size_t bytes) noexcept {
  constexpr std::size_t kPage = 4096;
  auto* bottom = static_cast<volatile std::uint8_t*>(alloca(bytes));
  // From the top down, as a stack grows.
  for (std::size_t offset = bytes; offset >= kPage; offset -= kPage) bottom[offset - kPage] = 0;
}

std::string CpuAwake::acquire() {
  const char* path = "/dev/cpu_dma_latency";
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  const std::int32_t latency_us = 0;
  // The kernel keeps the request for as long as the file is open.
  if (file >= 0 && write(file, &latency_us, sizeof latency_us) == sizeof latency_us) {
    file_ = file;
    return {};
  }
  const int error = errno;
  if (file >= 0) close(file);
  return refusal(std::string("holding ") + path + " at 0", error,
                 "the CPU may enter deep idle states: allow writing with a udev rule "
                 "KERNEL==\"cpu_dma_latency\", GROUP=\"realtime\", MODE=\"0660\"");
}

void CpuAwake::release() noexcept {
  if (file_ >= 0) close(file_);
  file_ = -1;
}

}  // namespace vla_rt::rt
