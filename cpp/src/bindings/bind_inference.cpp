#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/bindings.hpp"
#include "vla_rt/inference/backend_registry.hpp"

namespace vla_rt::bindings {

void bind_inference(pybind11::module_& m) {
  m.def("backend_names", &backend_names,
        "Names of the backends registered with this process, in alphabetical order.");
#ifdef VLA_RT_TORCH_VERSION
  m.attr("TORCH_VERSION") = VLA_RT_TORCH_VERSION;  // what `_torch` beside this module was compiled against
#else
  m.attr("TORCH_VERSION") = pybind11::none();
#endif
}

}  // namespace vla_rt::bindings
