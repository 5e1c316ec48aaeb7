// With `vla_rt::torch`, packages that hold TorchScript or AOTInductor networks open like native ones.
#include <cstdio>
#include <vla_rt/backends/torch/torch_model.hpp>
#include <vla_rt/inference/backend_registry.hpp>

int main() {
  vla_rt::register_torch_backends();
  for (const std::string& name : vla_rt::backend_names()) std::printf("%s\n", name.c_str());
  return vla_rt::has_backend("torchscript") ? 0 : 1;
}
