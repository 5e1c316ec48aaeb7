#pragma once
#include <pybind11/pybind11.h>

namespace vla_rt::bindings {

// One per room, in bind_<room>.cpp.
void bind_core(pybind11::module_& m);
void bind_action_space(pybind11::module_& m);
void bind_normalizer(pybind11::module_& m);           // part of action_space
void bind_discrete_spaces(pybind11::module_& m);      // part of action_space
void bind_end_effector_spaces(pybind11::module_& m);  // part of action_space
void bind_tokenization(pybind11::module_& m);
void bind_motion_tokenizer(pybind11::module_& m);  // part of bind_tokenization
void bind_fast_tokenizer(pybind11::module_& m);    // part of bind_tokenization
void bind_inference(pybind11::module_& m);
void bind_machine_limits(pybind11::module_& m);
void bind_sampling(pybind11::module_& m);
void bind_diffusion_samplers(pybind11::module_& m);      // part of bind_sampling
void bind_direct_sampler(pybind11::module_& m);          // part of bind_sampling
void bind_autoregressive_sampler(pybind11::module_& m);  // part of bind_sampling
void bind_package(pybind11::module_& m);
void bind_rt(pybind11::module_& m);
void bind_kinematics(pybind11::module_& m);
void bind_surroundings(pybind11::module_& m);     // part of constraints
void bind_collision_model(pybind11::module_& m);  // part of constraints
void bind_joint_limits(pybind11::module_& m);     // part of constraints
void bind_enforcer_report(pybind11::module_& m);  // part of constraints
void bind_constraints(pybind11::module_& m);
void bind_urdf_limits(pybind11::module_& m);      // part of constraints
void bind_differential_ik(pybind11::module_& m);  // part of constraints
void bind_smoothing(pybind11::module_& m);
void bind_chunk_executor(pybind11::module_& m);
void bind_temporal_ensembler(pybind11::module_& m);
void bind_rtc(pybind11::module_& m);
void bind_robots(pybind11::module_& m);
void bind_shared_memory(pybind11::module_& m);
void bind_flight_recording(pybind11::module_& m);
void bind_chunk_source(pybind11::module_& m);
void bind_cartesian_actions(pybind11::module_& m);  // part of execution
void bind_execution(pybind11::module_& m);
void bind_inline_policy(pybind11::module_& m);  // part of execution
void bind_violation_log(pybind11::module_& m);  // part of execution
void bind_sampler_benchmark(pybind11::module_& m);
void bind_control_benchmark(pybind11::module_& m);
void bind_enforcer_benchmark(pybind11::module_& m);

}  // namespace vla_rt::bindings
