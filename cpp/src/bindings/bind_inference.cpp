#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstddef>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/inference/backend_registry.hpp"
#include "vla_rt/inference/instruction_set.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

using Feature = std::tuple<std::string, std::vector<std::int64_t>, std::string>;

/// A stored network by itself, without sampler and normalisers.
class Network {
 public:
  Network(const std::filesystem::path& folder, const std::string& backend,
          const std::vector<Feature>& observation, std::vector<std::int64_t> input,
          std::vector<std::int64_t> output, int threads)
      : output_(output.begin(), output.end()) {
    ModelSignature signature{{}, 1, 1, std::move(input), std::move(output), "cpu", threads};
    for (const auto& [name, shape, dtype] : observation)
      signature.observation.push_back({name, dtype_from_string(dtype, name), shape});
    model_ = open_model(backend, folder, signature);
  }

  void prepare(const std::vector<double>& times) { model_->prepare(times); }

  void encode(const std::vector<ArrayLike>& observation) {
    const auto specs = model_->observation_spec();
    if (observation.size() != specs.size())
      throw ConfigError("observation", std::to_string(observation.size()) + " arrays",
                        "must be " + std::to_string(specs.size()));
    std::vector<py::array> arrays;
    std::vector<TensorView> views;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      switch (specs[i].dtype) {
        case DType::Float32:
          arrays.push_back(row_major<float>(observation[i], specs[i].name));
          break;
        case DType::Int64:
          arrays.push_back(row_major<std::int64_t>(observation[i], specs[i].name));
          break;
        case DType::UInt8:
          arrays.push_back(row_major<std::uint8_t>(observation[i], specs[i].name));
          break;
      }
      const py::array& array = arrays.back();
      shapes_.resize(specs.size());
      shapes_[i].assign(array.shape(), array.shape() + array.ndim());
      views.push_back({array.data(), specs[i].dtype, shapes_[i]});
    }
    const py::gil_scoped_release release;
    model_->encode(views);
  }

  Array<float> step(const ArrayLike& x, int k) {
    const Array<float> in = row_major<float>(x, "x");
    Array<float> out(output_);
    const std::span<float> to(out.mutable_data(), static_cast<std::size_t>(out.size()));
    const py::gil_scoped_release release;
    model_->step(elements(in), k, to);
    return out;
  }

  Array<float> vjp(const ArrayLike& x, int k, const ArrayLike& c) {
    const Array<float> in = row_major<float>(x, "x"), weights = row_major<float>(c, "c");
    Array<float> out = empty_like<float>(in);
    const py::gil_scoped_release release;
    model_->step_vjp(elements(in), k, elements(weights), mutable_elements(out));
    return out;
  }

  /// Durations [ns] of n encodes and steps after one another, of zeros.
  py::tuple time(int n, int steps) {
    if (n < 1 || n > 1'000'000) throw ConfigError("n", std::to_string(n), "must be in 1..1000000");
    std::vector<std::vector<std::byte>> zeros;
    std::vector<TensorView> views;
    for (const TensorSpec& spec : model_->observation_spec())
      zeros.emplace_back(static_cast<std::size_t>(spec.num_elements()) * size_of(spec.dtype));
    for (std::size_t i = 0; i < zeros.size(); ++i) {
      const TensorSpec& spec = model_->observation_spec()[i];
      views.push_back({zeros[i].data(), spec.dtype, spec.shape});
    }
    const std::vector<float> x(model_->input_size());
    std::vector<float> out(model_->output_size());
    Array<std::int64_t> encodes(n), each({py::ssize_t{n}, py::ssize_t{steps}});
    std::int64_t *encode = encodes.mutable_data(), *step = each.mutable_data();
    {
      const py::gil_scoped_release release;
      for (int i = 0; i < n; ++i) {
        TimeNs before = steady_now();
        model_->encode(views);
        *encode++ = steady_now() - before;
        for (int k = 0; k < steps; ++k) {
          before = steady_now();
          model_->step(x, k, out);
          *step++ = steady_now() - before;
        }
      }
    }
    return py::make_tuple(std::move(encodes), std::move(each));
  }

  void prepare_vjp() { model_->prepare_vjp(); }

 private:
  std::vector<py::ssize_t> output_;
  std::vector<std::vector<std::int64_t>> shapes_;
  std::unique_ptr<Model> model_;
};

}  // namespace

void bind_inference(py::module_& m) {
  m.def("backend_names", &backend_names,
        "Names of the backends registered with this process, in alphabetical order.");
  m.def(
      "instruction_set", [] { return to_string(instruction_set()); },
      "Instructions that a native network opened now would use: portable, avx2, avx512 or avx512_bf16.\n"
      "Raises ConfigError for a bad VLA_RT_INSTRUCTION_SET.");
  m.def(
      "best_instruction_set", [] { return to_string(best_instruction_set()); },
      "The best that this processor and build have.");
  py::class_<Network>(m, "Network", "A stored network by itself, without sampler and normalisers.")
      .def(py::init<const std::filesystem::path&, const std::string&, const std::vector<Feature>&,
                    std::vector<std::int64_t>, std::vector<std::int64_t>, int>(),
           py::arg("folder"), py::arg("backend"), py::arg("observation"), py::arg("input_shape"),
           py::arg("output_shape"), py::arg("threads") = 1,
           "Opens the network in a folder.\n\n"
           "Args:\n"
           "    folder: holds the backend's files.\n"
           "    backend: native, torchscript, ...\n"
           "    observation: (name, shape, dtype) of every input of `encode`.\n"
           "    input_shape: what `step` takes, no batch dimension.\n"
           "    output_shape: what it answers.\n"
           "    threads: 1 or 2, of the native backend.\n\n"
           "Raises:\n"
           "    FormatError: the files are damaged. ModelError: they hold another network.")
      .def("prepare", &Network::prepare, py::arg("times"), "Announces the times of the steps.")
      .def("encode", &Network::encode, py::arg("observation"), "Takes one array per input.")
      .def("step", &Network::step, py::arg("x"), py::arg("k"), "The answer at x and the k-th time.")
      .def("prepare_vjp", &Network::prepare_vjp, "Makes `vjp` possible where that takes preparation.")
      .def("vjp", &Network::vjp, py::arg("x"), py::arg("k"), py::arg("c"),
           "(d answer / d x) transposed, times c, at x and the k-th time.")
      .def("time", &Network::time, py::arg("n"), py::arg("steps"),
           "Durations [ns] of n encodes (n,) and of the steps after each (n, steps), of zeros.");
#ifdef VLA_RT_TORCH_VERSION
  m.attr("TORCH_VERSION") = VLA_RT_TORCH_VERSION;  // what `_torch` beside this module was compiled against
#else
  m.attr("TORCH_VERSION") = py::none();
#endif
}

}  // namespace vla_rt::bindings
