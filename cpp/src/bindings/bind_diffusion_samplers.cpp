#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "bindings/bindings.hpp"
#include "vla_rt/sampling/ddim_sampler.hpp"
#include "vla_rt/sampling/ddpm_sampler.hpp"
#include "vla_rt/sampling/dpm_solver_sampler.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

constexpr const char* kArguments =
    "Args:\n"
    "    num_train_steps: N, 1..10000.\n"
    "    beta_schedule: linear, scaled_linear or squaredcos_cap_v2.\n"
    "    beta_start, beta_end: in (0, 1).\n"
    "    prediction: what the denoiser returns: epsilon, sample or v_prediction.\n"
    "    clip_sample: clamp the predicted clean sample to +-clip_range.\n"
    "    num_steps: K, 1..N; None visits all training steps.\n"
    "    timestep_spacing: leading, linspace or trailing.\n"
    "    steps_offset: added to every timestep of leading spacing.\n";

void set_common(DiffusionOptions& o, int num_train_steps, const std::string& beta_schedule, double beta_start,
                double beta_end, const std::string& prediction, bool clip_sample, double clip_range,
                std::optional<int> num_steps, const std::string& timestep_spacing, int steps_offset) {
  o.num_train_steps = num_train_steps;
  o.beta_schedule = beta_schedule_from_string(beta_schedule, "beta_schedule");
  o.beta_start = beta_start;
  o.beta_end = beta_end;
  o.prediction = prediction_from_string(prediction, "prediction");
  o.clip_sample = clip_sample;
  o.clip_range = clip_range;
  o.num_steps = num_steps.value_or(num_train_steps);
  o.timestep_spacing = timestep_spacing_from_string(timestep_spacing, "timestep_spacing");
  o.steps_offset = steps_offset;
}

template <class S>
void add_repr(py::class_<S, Sampler>& type, const std::string& name) {
  type.def("__repr__", [name](const S& s) {
    return name + "(num_train_steps=" + std::to_string(s.options().num_train_steps) +
           ", num_steps=" + std::to_string(s.options().num_steps) + ", prediction='" +
           to_string(s.options().prediction) + "')";
  });
}

void bind_ddpm(py::module_& m) {
  py::class_<DDPMSampler, Sampler> type(
      m, "DDPMSampler", "Ancestral sampling with the posterior variance, as diffusers.DDPMScheduler.");
  type.def(py::init([](int num_train_steps, const std::string& beta_schedule, double beta_start,
                       double beta_end, const std::string& prediction, bool clip_sample, double clip_range,
                       std::optional<int> num_steps, const std::string& timestep_spacing, int steps_offset) {
             DiffusionOptions options;
             set_common(options, num_train_steps, beta_schedule, beta_start, beta_end, prediction,
                        clip_sample, clip_range, num_steps, timestep_spacing, steps_offset);
             return DDPMSampler(options);
           }),
           py::call_guard<py::gil_scoped_release>(), py::arg("num_train_steps") = 1000,
           py::arg("beta_schedule") = "linear", py::arg("beta_start") = 1e-4, py::arg("beta_end") = 0.02,
           py::arg("prediction") = "epsilon", py::arg("clip_sample") = true, py::arg("clip_range") = 1.0,
           py::arg("num_steps") = py::none(), py::arg("timestep_spacing") = "leading",
           py::arg("steps_offset") = 0, (std::string(kArguments) + "\nRaises ConfigError.").c_str());
  add_repr(type, "DDPMSampler");
}

void bind_ddim(py::module_& m) {
  py::class_<DDIMSampler, Sampler> type(m, "DDIMSampler", "Implicit sampling, as diffusers.DDIMScheduler.");
  type.def(py::init([](int num_train_steps, const std::string& beta_schedule, double beta_start,
                       double beta_end, const std::string& prediction, bool clip_sample, double clip_range,
                       std::optional<int> num_steps, const std::string& timestep_spacing, int steps_offset,
                       double eta, bool set_alpha_to_one) {
             DDIMOptions options;
             set_common(options, num_train_steps, beta_schedule, beta_start, beta_end, prediction,
                        clip_sample, clip_range, num_steps, timestep_spacing, steps_offset);
             options.eta = eta;
             options.set_alpha_to_one = set_alpha_to_one;
             return DDIMSampler(options);
           }),
           py::call_guard<py::gil_scoped_release>(), py::arg("num_train_steps") = 1000,
           py::arg("beta_schedule") = "linear", py::arg("beta_start") = 1e-4, py::arg("beta_end") = 0.02,
           py::arg("prediction") = "epsilon", py::arg("clip_sample") = true, py::arg("clip_range") = 1.0,
           py::arg("num_steps") = py::none(), py::arg("timestep_spacing") = "leading",
           py::arg("steps_offset") = 0, py::arg("eta") = 0.0, py::arg("set_alpha_to_one") = true,
           (std::string(kArguments) +
            "    eta: 0 (deterministic) .. 1 (as much noise as DDPM).\n"
            "    set_alpha_to_one: end at the clean sample, otherwise at timestep 0.\n\nRaises ConfigError.")
               .c_str());
  add_repr(type, "DDIMSampler");
}

void bind_dpm_solver(py::module_& m) {
  py::class_<DPMSolverSampler, Sampler> type(
      m, "DPMSolverSampler",
      "DPM-Solver++ and its SDE form, multistep, as diffusers.DPMSolverMultistepScheduler.");
  type.def(
      py::init([](int num_train_steps, const std::string& beta_schedule, double beta_start, double beta_end,
                  const std::string& prediction, bool clip_sample, double clip_range, int num_steps,
                  const std::string& timestep_spacing, int steps_offset, const std::string& algorithm_type,
                  int solver_order, const std::string& solver_type, bool lower_order_final,
                  const std::string& final_sigmas_type, bool use_karras_sigmas) {
        DPMSolverOptions options;
        set_common(options, num_train_steps, beta_schedule, beta_start, beta_end, prediction, clip_sample,
                   clip_range, num_steps, timestep_spacing, steps_offset);
        options.algorithm_type = dpm_algorithm_from_string(algorithm_type, "algorithm_type");
        options.solver_order = solver_order;
        options.solver_type = dpm_solver_type_from_string(solver_type, "solver_type");
        options.lower_order_final = lower_order_final;
        options.final_sigmas_type = final_sigmas_from_string(final_sigmas_type, "final_sigmas_type");
        options.use_karras_sigmas = use_karras_sigmas;
        return DPMSolverSampler(options);
      }),
      py::call_guard<py::gil_scoped_release>(), py::arg("num_train_steps") = 1000,
      py::arg("beta_schedule") = "linear", py::arg("beta_start") = 1e-4, py::arg("beta_end") = 0.02,
      py::arg("prediction") = "epsilon", py::arg("clip_sample") = false, py::arg("clip_range") = 1.0,
      py::arg("num_steps") = 10, py::arg("timestep_spacing") = "linspace", py::arg("steps_offset") = 0,
      py::arg("algorithm_type") = "dpmsolver++", py::arg("solver_order") = 2,
      py::arg("solver_type") = "midpoint", py::arg("lower_order_final") = true,
      py::arg("final_sigmas_type") = "zero", py::arg("use_karras_sigmas") = false,
      (std::string(kArguments) +
       "    algorithm_type: dpmsolver++ or sde-dpmsolver++.\n"
       "    solver_order: 1, 2 or 3.\n"
       "    solver_type: midpoint or heun, the second-order update.\n"
       "    lower_order_final: below 15 steps, use a lower order in the last ones.\n"
       "    final_sigmas_type: zero or sigma_min.\n"
       "    use_karras_sigmas: noise levels of Karras et al. instead of the spacing.\n\nRaises ConfigError.")
          .c_str());
  add_repr(type, "DPMSolverSampler");
}

}  // namespace

void bind_diffusion_samplers(py::module_& m) {
  bind_ddpm(m);
  bind_ddim(m);
  bind_dpm_solver(m);
}

}  // namespace vla_rt::bindings
