#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <ctime>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/core/time.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

using Counter = long (*)();

// Of this thread, preemption not included.
std::int64_t cpu_now() noexcept {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

py::dict benchmark_enforcer(ConstraintEnforcer& enforcer, const ArrayLike& targets,
                            std::uintptr_t allocation_counter) {
  if (!enforcer.has_start())
    throw ConfigError("position", "unknown", "call reset(position) before the first command");
  const Array<double> wishes = row_major<double>(targets, "targets");
  require_shape(wishes, "targets", {-1, enforcer.num_joints()});
  const auto n = static_cast<std::size_t>(enforcer.num_joints());
  const auto ticks = static_cast<std::size_t>(wishes.shape(0));
  Array<std::int64_t> duration_ns(wishes.shape(0)), cpu_ns(wishes.shape(0));
  py::array_t<std::uint8_t> causes(wishes.shape(0));
  Array<double> position = empty_like<double>(wishes);
  const std::span<const double> wish = elements(wishes);
  const std::span<double> q = mutable_elements(position);
  const std::span<std::int64_t> spent = mutable_elements(duration_ns), used = mutable_elements(cpu_ns);
  std::uint8_t* why = causes.mutable_data();
  const auto count = std::bit_cast<Counter>(allocation_counter);
  long allocated = 0;
  {
    const py::gil_scoped_release release;
    EnforcerReport report;
    for (std::size_t k = 0; k < ticks; ++k) {
      const long before = count ? count() : 0;
      const std::int64_t cpu_begin = cpu_now();
      const TimeNs begin = steady_now();
      enforcer.apply(wish.subspan(k * n, n), {}, report);
      spent[k] = steady_now() - begin;
      used[k] = cpu_now() - cpu_begin;
      allocated += count ? count() - before : 0;
      why[k] = 0;
      for (std::size_t i = 0; i < n; ++i) why[k] |= report.causes[i];
      std::ranges::copy(enforcer.position(), q.subspan(k * n, n).begin());
    }
  }
  py::dict d;
  d["duration_ns"] = duration_ns;
  d["cpu_ns"] = cpu_ns;
  d["causes"] = causes;
  d["position"] = position;
  d["allocations"] = count ? py::object(py::int_(allocated)) : py::object(py::none());
  return d;
}

}  // namespace

void bind_enforcer_benchmark(py::module_& m) {
  m.def("benchmark_enforcer_tick", &benchmark_enforcer, py::arg("enforcer"), py::arg("targets"),
        py::arg("allocation_counter") = 0,
        R"(Measure ConstraintEnforcer.apply in C++, tick by tick.

Args:
    enforcer: After its `reset`; it moves.
    targets: (n, N) [rad].
    allocation_counter: Address of a C function `long f()` that counts this thread's allocations; 0: not counted.

Returns:
    dict: duration_ns (n,), cpu_ns (n,) without preemption but with two readings of its clock, causes (n,) uint8
    mask over all joints, position (n, N) as commanded, allocations (int or None) inside the ticks.

Raises:
    ConfigError: A wrong shape or number, or no reset before.)");
}

}  // namespace vla_rt::bindings
