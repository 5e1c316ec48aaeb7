// apply and stop never touch the heap. The count is per thread, so that other tests of the process do not
// disturb it.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <vector>

#include "vla_rt/constraints/constraint_enforcer.hpp"

namespace {
thread_local long allocations = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

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
    const long before = allocations;
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
    CHECK(allocations == before);
    CHECK(enforcer.log_count() > 0);
  }
}
