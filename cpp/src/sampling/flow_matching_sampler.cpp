#include "vla_rt/sampling/flow_matching_sampler.hpp"

#include <algorithm>
#include <array>

#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/sampling/guidance.hpp"

namespace vla_rt {
namespace {

constexpr int kMaxSteps = 1000;
constexpr int kMaxTimes = 10'000;  // of steps, times the numbers of rows that may be given

/// An explicit Runge-Kutta method whose every stage looks at the previous one alone: stage i is evaluated at
/// (t + c h, x + c h v_{i-1}); the step is x + h sum(b_i v_i).
struct Tableau {
  int stages;
  std::array<double, 4> c;
  std::array<double, 4> b;
};

constexpr Tableau tableau(OdeSolver solver) {
  switch (solver) {
    case OdeSolver::Euler:
      return {1, {0}, {1}};
    case OdeSolver::Midpoint:
      return {2, {0, 0.5}, {0, 1}};
    case OdeSolver::Heun:
      return {2, {0, 1}, {0.5, 0.5}};
    case OdeSolver::Rk4:
      return {4, {0, 0.5, 0.5, 1}, {1. / 6, 1. / 3, 1. / 3, 1. / 6}};
  }
  return {};
}

/// out = x + h v, in double, rounded once.
void advance(std::span<const float> x, double h, std::span<const float> v, std::span<float> out) {
  for (std::size_t i = 0; i < x.size(); ++i)
    out[i] = static_cast<float>(static_cast<double>(x[i]) + h * static_cast<double>(v[i]));
}

}  // namespace

const char* to_string(OdeSolver solver) noexcept {
  switch (solver) {
    case OdeSolver::Euler:
      return "euler";
    case OdeSolver::Midpoint:
      return "midpoint";
    case OdeSolver::Heun:
      return "heun";
    case OdeSolver::Rk4:
      return "rk4";
  }
  return "unknown";
}

OdeSolver ode_solver_from_string(const std::string& text, const std::string& field) {
  for (const OdeSolver solver : {OdeSolver::Euler, OdeSolver::Midpoint, OdeSolver::Heun, OdeSolver::Rk4})
    if (text == to_string(solver)) return solver;
  throw ConfigError(field, text, "must be euler, midpoint, heun or rk4");
}

void FlowMatchingOptions::validate() const {
  if (num_steps < 1 || num_steps > kMaxSteps)
    throw ConfigError("num_steps", std::to_string(num_steps), "must be in 1.." + std::to_string(kMaxSteps));
  if (noise_at != 0 && noise_at != 1)
    throw ConfigError("noise_at", std::to_string(noise_at), "must be 0 or 1");
  const int most = std::min(kMaxHorizon, kMaxTimes / num_steps) - 1;
  if (max_delay < 0 || max_delay > most)
    throw ConfigError("max_delay", std::to_string(max_delay),
                      "must be in 0.." + std::to_string(most) + " with so many steps");
}

FlowMatchingSampler::FlowMatchingSampler(const FlowMatchingOptions& options) : options_(options) {
  options_.validate();
  const Tableau method = tableau(options_.solver);
  const auto time = [&](double steps_done) {
    return (options_.noise_at == 0 ? steps_done : options_.num_steps - steps_done) / options_.num_steps;
  };
  for (int k = 0; k < options_.num_steps; ++k) {
    timesteps_.push_back(time(k));
    for (int i = 0; i < method.stages; ++i)
      stage_times_.push_back(time(k + method.c[static_cast<std::size_t>(i)]));
  }
  const std::size_t stages = stage_times_.size();
  for (int rows = 1; rows <= options_.max_delay; ++rows)
    for (std::size_t i = 0; i < stages; ++i) stage_times_.push_back(stage_times_[i] + 2 * rows);
}

std::size_t FlowMatchingSampler::scratch_size(std::size_t n) const noexcept {
  return tableau(options_.solver).stages == 1 ? n : 3 * n;
}

void FlowMatchingSampler::require_guidable(const Guidance& /*guidance*/) const {}

// Scratch: velocity, and for methods of several stages the point of the stage and the end of the step.
void FlowMatchingSampler::begin(const Sampling& s) const noexcept {
  if (const int given = given_rows(s); given > 0) s.guidance->give(given, s.x);
}

int FlowMatchingSampler::given_rows(const Sampling& s) const noexcept {
  return s.guidance ? std::min(s.guidance->given_rows(), options_.max_delay) : 0;
}

int FlowMatchingSampler::num_evaluations() const noexcept {
  return options_.num_steps * tableau(options_.solver).stages;
}

int FlowMatchingSampler::stage_of(const Sampling& s, int evaluation) const noexcept {
  return given_rows(s) * num_evaluations() + evaluation;
}

std::span<float> FlowMatchingSampler::answer(const Sampling& s) const noexcept {
  return s.scratch.first(s.x.size());
}

std::span<const float> FlowMatchingSampler::point(const Sampling& s, int stage) const noexcept {
  if (stage % tableau(options_.solver).stages == 0) return s.x;
  return s.scratch.subspan(s.x.size(), s.x.size());
}

void FlowMatchingSampler::guide(Denoiser& denoiser, Guidance& guidance, const Sampling& s, int stage) const {
  if (options_.max_delay > 0) return guidance.hold(given_rows(s), answer(s));
  guidance.guide_flow(denoiser, point(s, stage), stage, stage_times_[static_cast<std::size_t>(stage)],
                      options_.noise_at, answer(s));
}

void FlowMatchingSampler::absorb(const Sampling& s, int stage) const noexcept {
  const Tableau method = tableau(options_.solver);
  const std::size_t n = s.x.size();
  const double h = (options_.noise_at == 0 ? 1.0 : -1.0) / options_.num_steps;
  const std::span<const float> v = s.scratch.first(n);
  if (method.stages == 1) return advance(s.x, h, v, s.x);
  const std::span<float> probe = s.scratch.subspan(n, n), next = s.scratch.subspan(2 * n, n);
  const auto i = static_cast<std::size_t>(stage % method.stages);
  if (i == 0) std::ranges::copy(s.x, next.begin());
  if (method.b[i] != 0) advance(next, method.b[i] * h, v, next);
  if (i + 1 < static_cast<std::size_t>(method.stages))
    advance(s.x, method.c[i + 1] * h, v, probe);
  else
    std::ranges::copy(next, s.x.begin());
}

}  // namespace vla_rt
