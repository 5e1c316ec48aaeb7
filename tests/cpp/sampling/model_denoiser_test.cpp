#include "vla_rt/sampling/model_denoiser.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "instruments/allocation_count.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/sampling/flow_matching_sampler.hpp"

using namespace vla_rt;

namespace {

/// Velocity = the prepared time.
class TimeModel final : public Model {
 public:
  std::span<const TensorSpec> observation_spec() const noexcept override { return {}; }
  int horizon() const noexcept override { return 4; }
  int action_dim() const noexcept override { return 2; }
  std::string backend() const override { return "time"; }
  void prepare(std::span<const double> times) override { times_.assign(times.begin(), times.end()); }
  void encode(std::span<const TensorView> /*observation*/) override {}
  void step(std::span<const float> /*x*/, int k, std::span<float> out) override {
    std::ranges::fill(out, static_cast<float>(times_[static_cast<std::size_t>(k)]));
  }
  bool has_vjp() const noexcept override { return with_vjp; }
  void step_vjp(std::span<const float> x, int k, std::span<const float> c, std::span<float> out) override {
    if (!with_vjp) return Model::step_vjp(x, k, c, out);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = x[i] + c[i] + static_cast<float>(k);
  }

  bool with_vjp = false;

 private:
  std::vector<double> times_;
};

}  // namespace

TEST_CASE("a sampler over a model asks for the times that were prepared, without a heap call of its own") {
  TimeModel model;
  for (const OdeSolver solver : {OdeSolver::Midpoint, OdeSolver::Heun, OdeSolver::Rk4}) {
    const FlowMatchingSampler sampler({5, solver, 0});
    model.prepare(sampler.stage_times());
    ModelDenoiser network(model);
    std::vector<float> x(model.input_size(), 0.25F), scratch(sampler.scratch_size(x.size()));
    const long before = allocations();
    sampler.sample(network, x, 0, {}, scratch);
    CHECK(allocations() == before);
    for (const float value : x) CHECK(value == doctest::Approx(0.75F));  // 1/4 + the integral of t
  }
}

TEST_CASE("products with the Jacobian are the model's own, or its error") {
  TimeModel model;
  ModelDenoiser network(model);
  std::vector<float> x(8, 1), c(8, 2), out(8);
  CHECK_FALSE(network.has_vjp());
  CHECK_THROWS_AS(network.vjp(x, 3, 0, c, out), ModelError);
  model.with_vjp = true;
  CHECK(network.has_vjp());
  network.vjp(x, 3, 0, c, out);
  CHECK(out == std::vector<float>(8, 6));
}
