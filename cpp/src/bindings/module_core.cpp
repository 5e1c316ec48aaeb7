#include <pybind11/pybind11.h>

#include "bindings/bindings.hpp"

PYBIND11_MODULE(_core, m) {
  m.doc() = "C++ core of vla_rt. Use the names of the package `vla_rt`; this module is their home.";
  m.attr("__version__") = VLA_RT_VERSION;
  using namespace vla_rt::bindings;
  bind_core(m);
  bind_action_space(m);
  bind_tokenization(m);
  bind_inference(m);
  bind_machine_limits(m);
  bind_sampling(m);
  bind_package(m);
  bind_rt(m);
  bind_kinematics(m);
  bind_constraints(m);
  bind_violation_log(m);
  bind_urdf_limits(m);
  bind_differential_ik(m);
  bind_smoothing(m);
  bind_chunk_executor(m);
  bind_temporal_ensembler(m);
  bind_rtc(m);
  bind_robots(m);
  bind_shared_memory(m);
  bind_flight_recording(m);
  bind_chunk_source(m);
  bind_cartesian_actions(m);
  bind_execution(m);
  bind_sampler_benchmark(m);
  bind_inline_policy(m);
  bind_control_benchmark(m);
  bind_enforcer_benchmark(m);
}
