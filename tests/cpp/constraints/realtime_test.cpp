// apply and stop never touch the heap and call nothing of the system. The count is per thread, so that other
// tests of the process do not disturb it.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "constraints/random_arm.hpp"
#include "instruments/allocation_count.hpp"
#include "instruments/syscall_trap.hpp"
#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/core/errors.hpp"

using namespace vla_rt;

TEST_CASE("apply, stop and the log allocate nothing, whatever the targets") {
  const auto all = [](double x) { return std::vector<double>(7, x); };
  const JointLimits limits = JointLimits::make(all(-2.7), all(2.7), all(2.62), all(10), all(5000));
  const JointLimits tight = JointLimits::make(all(-2.7), all(2.7), all(1), all(5), all(500));
  for (const bool path_preserving : {false, true}) {
    ConstraintEnforcer enforcer(limits, 1e-3, path_preserving);
    const std::vector<double> start = all(0);
    std::vector<double> target = all(0), feedforward = all(0);
    std::vector<WishLogEntry> log(ConstraintEnforcer::kLogCapacity);
    EnforcerReport report;
    enforcer.reset(start);
    const long before = allocations();
    CHECK(before > 0);  // the counter does count
    for (int t = 0; t < 3000; ++t) {
      for (std::size_t i = 0; i < 7; ++i) {
        target[i] =
            t % 7 == static_cast<int>(i) ? std::numeric_limits<double>::quiet_NaN() : 4 * std::sin(0.01 * t);
        feedforward[i] = t % 5 == 0 ? 1e300 : 1;
      }
      if (t % 500 == 0) enforcer.set_limits(t % 1000 == 0 ? tight : limits);
      enforcer.apply(target, t % 2 == 0 ? std::span<const double>(feedforward) : std::span<const double>(),
                     report);
      if (t % 100 == 0) enforcer.stop();
      CHECK(enforcer.copy_log(log) <= ConstraintEnforcer::kLogCapacity);
    }
    CHECK(allocations() == before);
    CHECK(enforcer.log_count() > 0);
  }
}

namespace {

// A random arm among things, whose every tick is blocked: the most a tick does.
class Cornered {
 public:
  explicit Cornered(std::uint64_t seed) : rng_(seed) {
    while (!enforcer_) make();
  }
  bool tick() noexcept {
    for (std::size_t j = 0; j < n_; ++j)
      if (rng_.one_in(300))
        target_[j] = rng_.one_in(5) ? std::numeric_limits<double>::quiet_NaN() : rng_.uniform(-9, 9);
    enforcer_->apply({target_.data(), n_}, {}, report_);
    if (rng_.one_in(100)) enforcer_->stop();
    return (report_.causes[0] & 48) != 0;
  }

 private:
  void make() {
    const Kinematics chain = adversary::random_chain(rng_, 7);
    n_ = 7;
    const adversary::RandomWorld world = adversary::random_world(rng_, chain);
    Surroundings around{world.workspaces, CollisionModel(chain, world.shapes), nullptr};
    auto made = std::make_unique<ConstraintEnforcer>(adversary::chain_limits(rng_, chain), 1e-3,
                                                     EnforcerOptions{}, chain, around);
    for (int attempt = 0; attempt < 100 && !enforcer_; ++attempt) {
      for (std::size_t j = 0; j < n_; ++j) target_[j] = rng_.uniform(-0.3, 0.3);
      try {
        made->reset({target_.data(), n_});
        enforcer_ = std::move(made);
        return;
      } catch (const ConfigError&) {
      }
    }
  }

  adversary::Rng rng_;
  std::size_t n_ = 0;
  std::unique_ptr<ConstraintEnforcer> enforcer_;
  JointArray target_{};
  EnforcerReport report_;
};

}  // namespace

TEST_CASE("among walls and obstacles, blocked, it allocates nothing either") {
  Cornered arm(51);
  const long before = allocations();
  int blocked = 0;
  for (int t = 0; t < 3000; ++t) blocked += arm.tick() ? 1 : 0;
  CHECK(allocations() == before);
  CHECK(blocked > 300);
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)  // the sanitizers make calls of their own
TEST_CASE("the enforcer makes no system call") {
  const auto watched = [](bool offends) {
    return syscall_trap::exit_code_of([=] {
      Cornered arm(52);
      syscall_trap::arm();
      for (int t = 0; t < 1000; ++t) arm.tick();
      if (offends) syscall(SYS_getppid);
      _exit(syscall_trap::kClean);
    });
  };
  const int caught = watched(true);
  if (caught == syscall_trap::kNoFilter) {
    MESSAGE("seccomp is not available: not tested");
    return;
  }
  REQUIRE(caught == syscall_trap::exit_code(SYS_getppid));  // the trap itself works
  CHECK(watched(false) == syscall_trap::kClean);
}
#endif
