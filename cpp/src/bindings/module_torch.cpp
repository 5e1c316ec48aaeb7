// Opens the libtorch backends to Python. Imports torch and _core first, so that both are loaded once and stay
// loaded; registers no type and includes nothing of torch's own Python bindings.
#include <pybind11/pybind11.h>

#include "vla_rt/backends/torch/torch_model.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_torch, m) {
  py::module_::import("torch");
  py::module_::import("vla_rt._core");
  m.doc() =
      "libtorch backends of vla_rt; importing this module registers them with the C++ backend registry.";
  m.attr("TORCH_VERSION") = vla_rt::compiled_torch_version();
  vla_rt::register_torch_backends();
}
