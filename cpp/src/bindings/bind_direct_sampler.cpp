#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/sampler_arrays.hpp"
#include "bindings/seeds.hpp"
#include "vla_rt/sampling/direct_sampler.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

Array<float> sample(const DirectSampler& sampler, const py::function& denoiser, const ArrayLike& noise,
                    const py::object& seed, const py::object& guidance, const py::object& step_noise) {
  if (!guidance.is_none())
    throw ConfigError("guidance", "", "is offered by flow matching and the diffusion samplers alone");
  const SamplerArrays given(noise, step_noise, 1);
  const py::ssize_t batch = given.noise.shape(0);
  const std::uint64_t seed_value = seed_of(seed, "seed");
  const Array<float> state(given.shape(), given.noise.data());  // a copy: the callable may keep it
  const Array<float> answer =
      row_major<float>(py::reinterpret_steal<ArrayLike>(denoiser(state, 0.0).release()), "denoiser(x, t)");
  std::vector<py::ssize_t> shape{batch};
  const auto per_chunk =
      sampler.options().answer_shape(static_cast<int>(state.shape(1)), static_cast<int>(state.shape(2)));
  shape.insert(shape.end(), per_chunk.begin(), per_chunk.end());
  if (!std::equal(shape.begin(), shape.end(), answer.shape(), answer.shape() + answer.ndim()))
    throw ConfigError("denoiser(x, t)", "shape " + shape_text(answer),
                      "must have shape " + shape_text(Array<float>(shape)));
  require_finite_answer(answer);
  Array<float> x = empty_like<float>(state);
  const std::span<float> actions = mutable_elements(x);
  const std::span<const float> answers = elements(answer), z = elements(given.step_noise);
  {
    const py::gil_scoped_release release;
    const std::size_t n = actions.size() / static_cast<std::size_t>(batch);
    const std::size_t size = sampler.answer_size(n);
    std::vector<float> own(z.empty() ? n : 0);
    for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b) {
      const NoiseSource source(seed_value, b);
      if (z.empty()) fill_noise(source, 1, own);
      const std::span<const float> own_answer = answers.subspan(b * size, size);
      if (const AnswerDefect defect = sampler.find_defect(own_answer); defect.bound != nullptr)
        throw ModelError(indexed("denoiser output", static_cast<long>(defect.index)),
                         number(static_cast<double>(own_answer[defect.index])), defect.bound);
      sampler.decode(own_answer, source, z.empty() ? std::span<const float>(own) : z.subspan(b * n, n),
                     actions.subspan(b * n, n));
    }
  }
  require_finite_answer(x, "sample");
  return x;
}

}  // namespace

void bind_direct_sampler(py::module_& m) {
  py::class_<DirectSampler, Sampler>(m, "DirectSampler",
                                     "One evaluation of the network is the answer: regression, Gaussian and "
                                     "mixture heads, one-step generators.")
      .def(py::init([](const std::string& head, const std::string& mode, int num_components, bool clip_sample,
                       double clip_range) {
             return DirectSampler({direct_head_from_string(head, "head"),
                                   direct_choice_from_string(mode, "mode"), num_components, clip_sample,
                                   clip_range});
           }),
           py::arg("head") = "value", py::arg("mode") = "mean", py::arg("num_components") = 1,
           py::arg("clip_sample") = false, py::arg("clip_range") = 1.0,
           "Args:\n"
           "    head: what the network answers: value, the actions (B, T, D); normal, means and standard\n"
           "        deviations (B, 2, T, D); mixture, the logit, means and standard deviations of each of M\n"
           "        possible chunks (B, M, 1 + 2 T D).\n"
           "    mode: mean, mode (of a mixture the mean of its likeliest component) or sample.\n"
           "    num_components: M of a mixture.\n"
           "    clip_sample: clamp the actions to +-clip_range.\n\n"
           "Raises ConfigError.")
      .def(
          "sample", &sample, py::arg("denoiser"), py::arg("noise"), py::arg("seed") = 0,
          py::arg("guidance") = py::none(), py::arg("step_noise") = py::none(),
          "Turns the network's answer into actions.\n\n"
          "Args:\n"
          "    denoiser: callable (x, t) -> array of the head's shape; called once, with the noise and 0.0.\n"
          "    noise: (B, T, D), finite; gives the shape, and is what a one-step generator starts from.\n"
          "    seed: of what mode sample draws; row b of the batch is chunk b of the seed.\n"
          "    step_noise: (1, B, T, D), replaces the normal numbers that mode sample draws.\n\n"
          "Returns:\n"
          "    (B, T, D) float32.\n\n"
          "Raises:\n"
          "    ConfigError: a wrong shape, also of what the denoiser returns, NaN or infinity in noise.\n"
          "    ModelError: the denoiser returned NaN, infinity or a standard deviation below 0.")
      .def("__repr__", [](const DirectSampler& s) {
        return std::string("DirectSampler(head='") + to_string(s.options().head) + "', mode='" +
               to_string(s.options().mode) + "')";
      });
}

}  // namespace vla_rt::bindings
