#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/inference/backend_registry.hpp"
#include "vla_rt/package/policy_spec.hpp"
#include "vla_rt/sampling/model_denoiser.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

using Counter = long (*)();

/// Passes on to the model and keeps what went in and came out.
class Recorder final : public Denoiser {
 public:
  explicit Recorder(Model& model) : network_(model) {}
  void evaluate(std::span<const float> x, int stage, double t, std::span<float> out) override {
    network_.evaluate(x, stage, t, out);
    inputs.emplace_back(x.begin(), x.end());
    answers.emplace_back(out.begin(), out.end());
  }
  std::vector<std::vector<float>> inputs, answers;

 private:
  ModelDenoiser network_;
};

/// A network that costs nothing: answers what was recorded.
class Replay final : public Denoiser {
 public:
  explicit Replay(const Recorder& recorder) : recorder_(recorder) {}
  void evaluate(std::span<const float> /*x*/, int stage, double /*t*/, std::span<float> out) override {
    std::ranges::copy(recorder_.answers[static_cast<std::size_t>(stage)], out.begin());
  }

 private:
  const Recorder& recorder_;
};

/// One package's network and sampler, with zeros for an observation and always the same noise.
class Bench {
 public:
  Bench(const PolicySpec& spec, const std::filesystem::path& folder, const std::string& backend)
      : sampler_(make_sampler(spec.sampler)), model_(open_model(backend, folder, signature_of(spec))) {
    if (!sampler_) throw ConfigError("folder", spec.kind, "draws tokens; must sample chunks");
    model_->prepare(sampler_->stage_times());
    for (const FeatureSpec& feature : spec.observation)
      zeros_.emplace_back(static_cast<std::size_t>(feature.tensor.num_elements()) *
                          size_of(feature.tensor.dtype));
    for (std::size_t i = 0; i < zeros_.size(); ++i)
      views_.push_back(
          {zeros_[i].data(), spec.observation[i].tensor.dtype, spec.observation[i].tensor.shape});
    noise_.resize(model_->input_size());
    fill_noise(source_, 0, noise_);
    answer_.resize(model_->output_size());
    scratch_.resize(sampler_->scratch_size(noise_.size()));
    model_->encode(views_);
    run(recorder_);
    chunk_ = x_;
  }

  /// What a chunk costs: `encode` and the sampler's loop over the network.
  void whole() {
    model_->encode(views_);
    run(network_);
  }
  /// The same calls of the network on the same inputs, and nothing else.
  void calls() {
    model_->encode(views_);
    for (std::size_t k = 0; k < recorder_.inputs.size(); ++k)
      model_->step(recorder_.inputs[k], static_cast<int>(k), answer_);
  }
  /// The sampler's loop over answers from memory.
  void loop() { run(replay_); }

  [[nodiscard]] bool is_same_chunk() const { return x_ == chunk_; }
  [[nodiscard]] std::size_t evaluations() const { return recorder_.inputs.size(); }

 private:
  void run(Denoiser& denoiser) {
    x_ = noise_;
    sampler_->sample(denoiser, x_, source_, {}, scratch_);
  }

  static constexpr NoiseSource source_{0, 0};
  std::unique_ptr<const Sampler> sampler_;
  std::unique_ptr<Model> model_;
  std::vector<std::vector<std::byte>> zeros_;
  std::vector<TensorView> views_;
  std::vector<float> noise_, x_, answer_, scratch_, chunk_;
  ModelDenoiser network_{*model_};
  Recorder recorder_{*model_};
  Replay replay_{recorder_};
};

struct Samples {
  std::vector<std::int64_t> duration_ns;
  long allocations = 0;
};

py::dict benchmark_sampler(const std::filesystem::path& folder, const std::string& backend, int n,
                           std::uintptr_t allocation_counter) {
  if (n < 1 || n > 10'000'000) throw ConfigError("n", std::to_string(n), "must be in 1..10000000");
  const auto count = std::bit_cast<Counter>(allocation_counter);
  constexpr std::array<const char*, 3> kNames{"whole", "calls", "loop"};
  std::array<Samples, 3> samples;
  for (Samples& own : samples) own.duration_ns.resize(static_cast<std::size_t>(n));
  std::size_t evaluations = 0;
  {
    const py::gil_scoped_release release;
    const PolicySpec spec = read_policy_spec(folder);
    verify_files(spec, folder);
    Bench bench(spec, folder, backend);
    evaluations = bench.evaluations();
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i)
      for (std::size_t turn = 0; turn < samples.size(); ++turn) {
        const std::size_t which = (i + turn) % samples.size();
        const long before = count ? count() : 0;
        const TimeNs begin = steady_now();
        which == 0 ? bench.whole() : which == 1 ? bench.calls() : bench.loop();
        samples[which].duration_ns[i] = steady_now() - begin;
        samples[which].allocations += count ? count() - before : 0;
        if (!bench.is_same_chunk()) throw ModelError("chunk", "", "differs from the first one");
      }
  }
  py::dict d;
  d["evaluations"] = evaluations;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    d[(std::string(kNames[i]) + "_ns").c_str()] = array_of<std::int64_t>(samples[i].duration_ns);
    d[(std::string(kNames[i]) + "_allocations").c_str()] =
        allocation_counter ? py::object(py::int_(samples[i].allocations)) : py::object(py::none());
  }
  return d;
}

}  // namespace

void bind_sampler_benchmark(py::module_& m) {
  m.def("benchmark_sampler", &benchmark_sampler, py::arg("folder"), py::arg("backend") = "torchscript",
        py::arg("n") = 1000, py::arg("allocation_counter") = 0,
        R"(Measure what a sampler's loop adds to the calls of its network, in C++.

In turn: `whole` is `encode` and the sampler over the network, `calls` the same calls of the network on the
inputs that they had there, without the sampler, `loop` the sampler over the recorded answers. The
observation is zeros, the noise always the same; stochastic samplers draw theirs inside.

Args:
    folder: A package whose sampler makes chunks.
    backend: The one to run it with.
    n: Chunks of each kind.
    allocation_counter: Address of a C function `long f()` that counts this thread's allocations; 0: not counted.

Returns:
    dict: evaluations (of the network per chunk), and for each kind <kind>_ns (n,) and <kind>_allocations (int of
    all n, or None).

Raises:
    ConfigError: n, or a package that draws tokens.
    FormatError: The package is not what it should be.
    ModelError: No such backend, or the network failed.)");
}

}  // namespace vla_rt::bindings
