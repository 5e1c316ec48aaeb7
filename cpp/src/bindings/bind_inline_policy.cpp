#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/execution_dicts.hpp"
#include "bindings/observations.hpp"
#include "bindings/seeds.hpp"
#include "bindings/times.hpp"
#include "vla_rt/execution/inline_policy.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

/// The policy with the controller that it feeds.
class PythonInlinePolicy {
 public:
  PythonInlinePolicy(std::shared_ptr<Policy> policy, Controller& controller, double budget_s, double rate_hz,
                     const py::object& seed)
      : joints_(controller.num_joints()),
        policy_(std::move(policy), controller, InlineConfig{budget_s, rate_hz, seed_of(seed, "seed")}) {}

  bool advance(double time_s, const ArrayLike& position, std::optional<double> state_time_s) {
    RobotState state;
    state.num_joints = joints_;
    const Array<double> q = row_major<double>(position, "position");
    require_shape(q, "position", {joints_});
    std::ranges::copy(elements(q), state.position.begin());
    const TimeNs now = time_from(time_s, "time_s");
    state.time_ns = state_time_s ? time_from(*state_time_s, "state_time_s") : now;
    return policy_.advance(state, now, INT64_MAX);
  }

  void post(const py::dict& values) {
    Observation observation;
    for (const auto& [name, value] : values) set_feature(observation, py::str(name), value);
    policy_.post(observation);
  }

  [[nodiscard]] py::dict stats() const {
    py::dict d = to_dict(policy_.stats(), false);
    d["in_tick"] = to_dict(policy_.figures());
    return d;
  }

  void reset() noexcept { policy_.reset(); }

 private:
  int joints_;
  InlinePolicy policy_;
};

}  // namespace

void bind_inline_policy(py::module_& m) {
  py::class_<PythonInlinePolicy>(
      m, "InlinePolicy", R"(A small native policy that runs inside the control tick, a few pieces at a time.

What a ControlLoop with `inline_budget_s` runs after every command, for tests, replays and callbacks of one's own:
`controller.tick(...)`, then `advance(...)`, in one thread. Before each piece of a chunk (an encode, one evaluation of
the network, the hand-over) the longest time it took at set-up is held against what is left of the budget.

Args:
    policy: A package from `load_policy`, opened with the native backend; it is in use as long as this lives.
    controller: What the chunks are handed to.
    budget_s: Longest time that the policy may take of one tick [s], in (0, 1].
    rate_hz: Chunks per second; 0 is as late as possible.
    seed: Chunk i has the noise of (seed, i).

Raises:
    ConfigError: The policy cannot run piece by piece, does not fit the controller, or has a piece that takes longer
        than the budget; both figures are named.)")
      .def(py::init<std::shared_ptr<Policy>, Controller&, double, double, py::object>(), py::arg("policy"),
           py::arg("controller"), py::arg("budget_s"), py::arg("rate_hz") = 0.0, py::arg("seed") = 0,
           py::keep_alive<1, 3>())
      .def("advance", &PythonInlinePolicy::advance, py::arg("time_s"), py::arg("position"),
           py::arg("state_time_s") = py::none(), R"(The share of one tick.

Args:
    time_s: Now [s], on the controller's clock.
    position: Measured (N,) [rad] or [m].
    state_time_s: When that was measured; None is now.

Returns:
    bool: True when a chunk was handed over.)")
      .def("post", &PythonInlinePolicy::post, py::arg("observation"),
           R"(The newest value of every feature but the measured positions, by name.

Raises:
    ConfigError: One is missing or has another shape.)")
      .def("reset", &PythonInlinePolicy::reset,
           "Give up the chunk in the making, forget features and counts; the noise goes on with the next "
           "chunk.")
      .def("stats", &PythonInlinePolicy::stats,
           "What came of it, as `RunReport.inference`; `in_tick` has budget, longest pieces and ticks.");
}

}  // namespace vla_rt::bindings
