#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/python_guidance.hpp"
#include "bindings/sampler_arrays.hpp"
#include "bindings/seeds.hpp"
#include "vla_rt/sampling/consistency_sampler.hpp"
#include "vla_rt/sampling/flow_matching_sampler.hpp"
#include "vla_rt/sampling/noise.hpp"
#include "vla_rt/sampling/sampler.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

/// A Python callable as the network; takes the GIL for itself, because the loop around it runs without.
class CallableDenoiser final : public Denoiser {
 public:
  CallableDenoiser(py::object callable, std::vector<py::ssize_t> shape, bool integer_times)
      : callable_(std::move(callable)),
        vjp_(py::getattr(callable_, "vjp", py::none())),
        shape_(std::move(shape)),
        integer_times_(integer_times) {}

  void evaluate(std::span<const float> x, int /*stage*/, double t, std::span<float> out) override {
    const py::gil_scoped_acquire gil;
    require_finite_answer(take(callable_(array_of_state(x), time_of(t)), "denoiser(x, t)", out));
  }
  [[nodiscard]] bool has_vjp() const noexcept override { return !vjp_.is_none(); }
  void vjp(std::span<const float> x, int /*stage*/, double t, std::span<const float> c,
           std::span<float> out) override {
    const py::gil_scoped_acquire gil;
    take(vjp_(array_of_state(x), time_of(t), array_of_state(c)), "denoiser.vjp(x, t, c)", out);
  }

 private:
  // A copy: the callable may keep it.
  [[nodiscard]] Array<float> array_of_state(std::span<const float> x) const {
    return Array<float>(shape_, x.data());
  }
  [[nodiscard]] py::object time_of(double t) const {
    return integer_times_ ? py::object(py::int_(static_cast<std::int64_t>(t))) : py::float_(t);
  }
  Array<float> take(py::object answer, const char* name, std::span<float> out) const {
    Array<float> result = row_major<float>(py::reinterpret_steal<ArrayLike>(answer.release()), name);
    require_shape(result, name, {shape_[0], shape_[1], shape_[2]});
    std::ranges::copy(elements(result), out.begin());
    return result;
  }

  py::object callable_, vjp_;
  std::vector<py::ssize_t> shape_;
  bool integer_times_;
};

Array<float> sample(const Sampler& sampler, const py::function& denoiser, const ArrayLike& noise,
                    const py::object& seed, const py::object& guidance, const py::object& step_noise) {
  const SamplerArrays given(noise, step_noise, static_cast<py::ssize_t>(sampler.timesteps().size()));
  const NoiseSource source(seed_of(seed, "seed"));
  CallableDenoiser network(denoiser, given.shape(), sampler.has_integer_times());
  Array<float> x(given.shape(), given.noise.data());
  std::vector<float> scratch(sampler.scratch_size(static_cast<std::size_t>(x.size())));
  const std::span<float> state = mutable_elements(x);
  const PythonGuidance* guide = guidance_or_null(guidance);
  std::optional<Guidance> aimed;
  if (guide) {
    guide->require_action_dim(static_cast<int>(x.shape(2)));
    aimed.emplace(guide->options)
        .aim(guide->prefix(), static_cast<int>(x.shape(0)), static_cast<int>(x.shape(1)),
             static_cast<int>(x.shape(2)));
  }
  {
    const py::gil_scoped_release release;
    sampler.sample(network, state, source, elements(given.step_noise), scratch, aimed ? &*aimed : nullptr);
  }
  return x;
}

py::object timesteps(const Sampler& sampler) {
  const auto times = sampler.timesteps();
  if (!sampler.has_integer_times()) return array_of<double>(times);
  const std::vector<std::int64_t> whole(times.begin(), times.end());
  return array_of<std::int64_t>(whole);
}

Array<float> noise_array(const py::object& seed, const py::object& chunk, const py::object& step,
                         const py::object& shape) {
  const std::uint64_t step_index = seed_of(step, "step");
  if (step_index > UINT32_MAX) throw ConfigError("step", std::to_string(step_index), "must be below 2^32");
  const NoiseSource source(seed_of(seed, "seed"), seed_of(chunk, "chunk"));
  std::vector<py::ssize_t> extents;
  const py::object sequence = PySequence_Check(shape.ptr()) ? shape : py::object(py::make_tuple(shape));
  double total = 1;
  for (const py::handle extent : sequence) {
    extents.push_back(static_cast<py::ssize_t>(seed_of(py::reinterpret_borrow<py::object>(extent), "shape")));
    total *= static_cast<double>(extents.back());
  }
  constexpr double kMaxElements = 0x1p34;  // 2^32 blocks of 4
  if (!(total <= kMaxElements))
    throw ConfigError("shape", number(total) + " elements", "must be at most 2^34");
  Array<float> out(extents);
  const std::span<float> values = mutable_elements(out);
  without_gil(out.size() * 16, [&] { fill_noise(source, static_cast<std::uint32_t>(step_index), values); });
  return out;
}

}  // namespace

void bind_sampling(py::module_& m) {
  m.def(
      "noise", &noise_array, py::arg("seed"), py::arg("chunk"), py::arg("step"), py::arg("shape"),
      "Standard normal float32 array of `shape`: Philox4x32-10, key = seed, counter = (chunk, step, element\n"
      "block), Box-Muller in double. Step 0 is a chunk's initial noise, step k+1 what sampling step k "
      "adds.\n\n"
      "Raises ConfigError for negative numbers or a shape of more than 2^34 elements.");

  py::class_<Sampler>(m, "Sampler", "What all samplers share.")
      .def("sample", &sample, py::arg("denoiser"), py::arg("noise"), py::arg("seed") = 0,
           py::arg("guidance") = py::none(), py::arg("step_noise") = py::none(),
           "Turns noise into a sample.\n\n"
           "Args:\n"
           "    denoiser: callable (x, t) -> array (B, T, D); x is float32 (B, T, D), t a float (flow) or an "
           "int\n"
           "        (diffusion). Called once per stage, in order.\n"
           "    noise: (B, T, D), standard normal, finite.\n"
           "    seed: of the noise that a stochastic sampler adds; equal seeds give equal bits.\n"
           "    guidance: a `vla_rt.rtc.Guidance`: the previous chunk that the sample shall continue. With\n"
           "        jacobian=\"vjp\" the denoiser has a method vjp(x, t, c) -> (d network / d x)^T c (B, T, "
           "D).\n"
           "    step_noise: (K, B, T, D), replaces that noise. Deterministic samplers check and do not use "
           "it.\n\n"
           "Returns:\n"
           "    (B, T, D) float32.\n\n"
           "Raises:\n"
           "    ConfigError: a wrong shape, also of what the denoiser returns, NaN or infinity in noise,\n"
           "        guidance that sampler or denoiser do not offer.\n"
           "    ModelError: the denoiser returned NaN or infinity. What it raises itself passes through.")
      .def_property_readonly("timesteps", &timesteps, "(K,) time at the start of every step.");

  py::class_<FlowMatchingSampler, Sampler>(m, "FlowMatchingSampler",
                                           "Integrates a velocity field from noise to data in `num_steps` "
                                           "equal steps; the denoiser returns dx/dt.")
      .def(
          py::init([](int num_steps, const std::string& solver, int noise_at, int max_delay) {
            return FlowMatchingSampler(
                {num_steps, ode_solver_from_string(solver, "solver"), noise_at, max_delay});
          }),
          py::arg("num_steps") = 10, py::arg("solver") = "euler", py::arg("noise_at") = 0,
          py::arg("max_delay") = 0,
          "Args:\n"
          "    num_steps: K, 1..1000.\n"
          "    solver: euler, midpoint, heun or rk4.\n"
          "    noise_at: 0: noise at t=0, data at t=1; 1: noise at t=1, data at t=0 (pi0), integrated "
          "backwards.\n"
          "    max_delay: of a network trained for real-time chunking: up to so many rows at the front are "
          "given\n"
          "        clean, those of the guidance before its delay; t + 2 d says that the first d rows are.\n\n"
          "Raises ConfigError.")
      .def("__repr__", [](const FlowMatchingSampler& s) {
        return "FlowMatchingSampler(num_steps=" + std::to_string(s.options().num_steps) + ", solver='" +
               to_string(s.options().solver) + "', noise_at=" + std::to_string(s.options().noise_at) +
               (s.options().max_delay ? ", max_delay=" + std::to_string(s.options().max_delay) : "") + ")";
      });

  py::class_<ConsistencySampler, Sampler>(
      m, "ConsistencySampler",
      "One-step and chained sampling; the denoiser (x, sigma) is the consistency function itself. The noise "
      "given to\n"
      "`sample` is scaled by sigma_max; step_noise k is added after evaluation k, the last one is not used.")
      .def(py::init([](int num_steps, double sigma_min, double sigma_max, double rho, double sigma_data) {
             return ConsistencySampler({num_steps, sigma_min, sigma_max, rho, sigma_data});
           }),
           py::call_guard<py::gil_scoped_release>(), py::arg("num_steps") = 1, py::arg("sigma_min") = 0.02,
           py::arg("sigma_max") = 80.0, py::arg("rho") = 7.0, py::arg("sigma_data") = 0.5,
           "Args:\n"
           "    num_steps: K, 1..1000; the levels are the first K of K+1 Karras points from sigma_max to "
           "sigma_min.\n"
           "    sigma_min, sigma_max, rho: of the levels.\n"
           "    sigma_data: of the scalings inside the consistency function; carried for its sake.\n\n"
           "Raises ConfigError.");

  bind_diffusion_samplers(m);
  bind_direct_sampler(m);
  bind_autoregressive_sampler(m);
}

}  // namespace vla_rt::bindings
