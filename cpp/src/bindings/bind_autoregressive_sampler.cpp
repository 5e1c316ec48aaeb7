#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/seeds.hpp"
#include "vla_rt/sampling/autoregressive_sampler.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

/// Takes the GIL for itself, because the loop around it runs without.
class CallableTokenModel final : public TokenModel {
 public:
  CallableTokenModel(py::function callable, py::ssize_t positions)
      : callable_(std::move(callable)), positions_(positions) {}

  std::span<const float> next_logits(std::span<const std::int64_t> tokens, int batch, int length) override {
    const py::gil_scoped_acquire gil;
    const Array<std::int64_t> given({batch, length}, tokens.data());  // a copy: the callable may keep it
    const auto answer = py::reinterpret_steal<ArrayLike>(callable_(given).release());
    logits_ = row_major<float>(answer, "logits(tokens)");
    if (positions_ == 0) {
      require_shape(logits_, "logits(tokens)", {batch, -1});
    } else {
      require_shape(logits_, "logits(tokens)", {batch, positions_, -1});
    }
    return elements(logits_);
  }

 private:
  py::function callable_;
  py::ssize_t positions_;  // of parallel decoding; 0: one at a time
  Array<float> logits_;
};

Array<std::int64_t> sample(const AutoregressiveSampler& sampler, const py::function& logits, int batch,
                           const py::object& seed) {
  CallableTokenModel model(logits, sampler.options().parallel ? sampler.options().num_tokens : 0);
  AutoregressiveSampler::Workspace workspace;
  const NoiseSource source(seed_of(seed, "seed"));
  int length = 0;
  {
    const py::gil_scoped_release release;
    length = sampler.sample(model, batch, source, workspace);
  }
  return Array<std::int64_t>({batch, length}, workspace.tokens.data());
}

}  // namespace

void bind_autoregressive_sampler(py::module_& m) {
  py::class_<AutoregressiveSampler>(
      m, "AutoregressiveSampler",
      "Draws token sequences one token at a time: position i from the tokens before it.")
      .def(py::init([](int num_tokens, const std::string& mode, double temperature, int top_k, double top_p,
                       std::optional<std::int64_t> stop_token, bool parallel) {
             return AutoregressiveSampler({num_tokens, token_choice_from_string(mode, "mode"), temperature,
                                           top_k, top_p, stop_token, parallel});
           }),
           py::arg("num_tokens"), py::arg("mode") = "greedy", py::arg("temperature") = 1.0,
           py::arg("top_k") = 0, py::arg("top_p") = 1.0, py::arg("stop_token") = py::none(),
           py::arg("parallel") = false,
           "Args:\n"
           "    num_tokens: most tokens of a sequence.\n"
           "    mode: greedy (largest logit) or sample (temperature, then top-k, then top-p).\n"
           "    temperature: > 0.\n"
           "    top_k: keep the k largest logits; 0 keeps all.\n"
           "    top_p: keep the fewest tokens whose probabilities reach p, in (0, 1].\n"
           "    stop_token: ends a sequence, which is filled up with it.\n"
           "    parallel: one call gives the logits of all positions (OpenVLA-OFT).\n\n"
           "Raises ConfigError.")
      .def(
          "sample", &sample, py::arg("logits"), py::arg("batch") = 1, py::arg("seed") = 0,
          "Args:\n"
          "    logits: callable (tokens (B, n) int64) -> (B, V) logits of the next token; -inf forbids one.\n"
          "        With parallel, called once with tokens (B, 0), it returns (B, num_tokens, V).\n"
          "    batch: B.\n"
          "    seed: equal seeds give equal tokens.\n\n"
          "Returns:\n"
          "    (B, n) int64; n is num_tokens, or less when every sequence has stopped.\n\n"
          "Raises:\n"
          "    ConfigError: a wrong shape of what logits returns.\n"
          "    ModelError: NaN, +inf, or all tokens forbidden.")
      .def("__repr__", [](const AutoregressiveSampler& s) {
        return "AutoregressiveSampler(num_tokens=" + std::to_string(s.options().num_tokens) + ", mode='" +
               to_string(s.options().mode) + "')";
      });
}

}  // namespace vla_rt::bindings
