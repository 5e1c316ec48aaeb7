#include "vla_rt/inference/model.hpp"

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

Model::~Model() = default;

void Model::prepare_vjp() {}

void Model::step_vjp(std::span<const float> /*x*/, int /*k*/, std::span<const float> /*c*/,
                     std::span<float> /*out*/) {
  throw ModelError("vjp", backend(), "this backend offers no vector-Jacobian product");
}
std::size_t Model::input_size() const noexcept {
  return static_cast<std::size_t>(horizon()) * static_cast<std::size_t>(action_dim());
}
std::size_t Model::output_size() const noexcept { return input_size(); }

}  // namespace vla_rt
