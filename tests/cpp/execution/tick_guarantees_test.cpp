// What the control thread of a running ControlLoop does besides computing: no allocation, no system call but
// its sleep, no page fault. A robot whose `read` runs on that thread switches the instruments on and off;
// each instrument is shown to catch a planted offence.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>

#include "execution/sine_policy.hpp"
#include "instruments/syscall_trap.hpp"
#include "vla_rt/execution/control_loop.hpp"
#include "vla_rt/execution/simulated_robot.hpp"

#if !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)  // the sanitizers do all of it on their own

namespace {
thread_local bool counting = false;
thread_local long allocations_counted = 0;

void count() noexcept { allocations_counted += counting; }
}  // namespace

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) {
  count();
  return __libc_calloc(n, size);
}
void* realloc(void* p, std::size_t size) {
  count();
  return __libc_realloc(p, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** p, std::size_t alignment, std::size_t size) {
  count();
  *p = __libc_memalign(alignment, size);
  return *p ? 0 : ENOMEM;
}
void free(void* p) {
  count();
  __libc_free(p);
}
}

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

constexpr int kWarmUp = 300, kWatched = 700;  // ticks

long page_faults() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

// Follows its commands and calls `begin` and `end` around the watched ticks, `offend` in the middle of them.
class WatchedRobot : public SimulatedRobot {
 public:
  WatchedRobot() : SimulatedRobot(seven_joint_limits(), std::array<double, kJoints>{}) {}
  ReadResult read(RobotState& state) noexcept override {
    ++reads_;
    if (reads_ == kWarmUp) begin();
    if (reads_ == kWarmUp + kWatched / 2) offend();
    if (reads_ == kWarmUp + kWatched) end();
    return SimulatedRobot::read(state);
  }

 protected:
  virtual void begin() noexcept = 0;
  virtual void end() noexcept = 0;
  virtual void offend() noexcept {}

 private:
  int reads_ = 0;
};

RunReport run_watched(std::shared_ptr<Robot> robot, bool lock_memory = false) {
  ControlConfig config = loop_config();
  config.realtime.lock_memory = lock_memory;
  config.record = "/dev/null";  // with the flight recorder on
  ControlLoop loop(std::move(robot), std::make_shared<SinePolicy>(), config);
  return loop.run((kWarmUp + kWatched + 200) * 1e-3);
}

class CountedRobot final : public WatchedRobot {
 public:
  explicit CountedRobot(bool offends) : offends_(offends) {}
  long counted = -1;

 private:
  void begin() noexcept override { counting = true; }
  void end() noexcept override {
    counting = false;
    counted = allocations_counted;
  }
  void offend() noexcept override {
    if (offends_) std::free(std::malloc(64));
  }
  bool offends_;
};

}  // namespace

TEST_CASE("the control thread allocates nothing while chunks arrive") {
  const auto robot = std::make_shared<CountedRobot>(false);
  const RunReport report = run_watched(robot);
  CHECK(robot->counted == 0);
  CHECK(report.inference.chunks > 5);
  CHECK(report.limit_violations == 0);
  CHECK(report.seam.count > 3);

  const auto offender = std::make_shared<CountedRobot>(true);
  run_watched(offender);
  CHECK(offender->counted == 2);
}

namespace {

class FaultCountingRobot final : public WatchedRobot {
 public:
  explicit FaultCountingRobot(bool offends) : offends_(offends) {
    page_ =
        static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }
  ~FaultCountingRobot() override { munmap(page_, 4096); }
  long counted = -1;

 private:
  void begin() noexcept override { before_ = page_faults(); }
  void end() noexcept override { counted = page_faults() - before_; }
  void offend() noexcept override {
    if (offends_) *static_cast<volatile char*>(page_) = 1;
  }
  bool offends_;
  char* page_;
  long before_ = 0;
};

}  // namespace

TEST_CASE("the control thread takes no page fault after its warm-up") {
  const auto robot = std::make_shared<FaultCountingRobot>(false);
  run_watched(robot);
  CHECK(robot->counted == 0);

  const auto offender = std::make_shared<FaultCountingRobot>(true);
  run_watched(offender);
  CHECK(offender->counted == 1);
}

namespace {

// Ends the process at the first forbidden call of the control thread, or with kClean after the watched ticks.
class TrappedRobot final : public WatchedRobot {
 public:
  explicit TrappedRobot(bool offends) : offends_(offends) {}

 private:
  void begin() noexcept override { syscall_trap::arm(); }
  void end() noexcept override { _exit(syscall_trap::kClean); }
  void offend() noexcept override {
    if (offends_) syscall(SYS_getppid);
  }
  bool offends_;
};

int exit_code_of_watched_run(bool offends) {
  return syscall_trap::exit_code_of([=] { run_watched(std::make_shared<TrappedRobot>(offends)); });
}

}  // namespace

TEST_CASE("the control thread makes no system call but its sleep") {
  const int caught = exit_code_of_watched_run(true);
  if (caught == syscall_trap::kNoFilter) {
    MESSAGE("seccomp is not available: not tested");
    return;
  }
  REQUIRE(caught == syscall_trap::exit_code(SYS_getppid));  // the trap itself works
  // Where the clock is read by a system call this cannot hold: `vla-rt doctor` says so.
  CHECK(exit_code_of_watched_run(false) == syscall_trap::kClean);
}
#endif
