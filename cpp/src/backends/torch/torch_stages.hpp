#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>

#include <string>
#include <vector>

#include "backends/torch/single_thread_guard.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

/// The stages of one network; keeps rows and context in the form that its backend wants. Tensors are on the
/// network's device.
class TorchStages {
 public:
  virtual ~TorchStages() = default;
  /// Keeps the rows of every time (1,).
  virtual void prepare(const std::vector<at::Tensor>& times) = 0;
  /// Makes the context of the next steps.
  virtual void encode(const std::vector<at::Tensor>& observation) = 0;
  virtual at::Tensor step(const at::Tensor& x, std::size_t k) = 0;
  [[nodiscard]] virtual bool has_vjp() const noexcept { return false; }
  /// (d step / d x)^T c; called only where `has_vjp`.
  virtual at::Tensor vjp(const at::Tensor& x, std::size_t /*k*/, const at::Tensor& /*c*/) { return x; }
};

/// Runs `call` the way every call into libtorch runs here; whatever it throws becomes a ModelError.
template <class Call>
auto run_torch(const std::string& what, Call&& call) {
  try {
    const SingleThreadGuard threads;
    const c10::InferenceMode inference;
    return call();
  } catch (const VlaRtError&) {
    throw;
  } catch (const c10::Error& e) {
    throw ModelError(what, "", std::string("torch: ") + e.what_without_backtrace());
  } catch (const std::exception& e) {
    throw ModelError(what, "", std::string("torch: ") + e.what());
  }
}

/// The device of a package ("cpu", "cuda", "cuda:1"). Throws ModelError when it is unknown or not there.
[[nodiscard]] at::Device device_of(const std::string& name);

}  // namespace vla_rt
