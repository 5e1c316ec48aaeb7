// step_counter.cpp: one step of a native package on chosen numbers, for callgrind; or how long it takes on
// each.
//
//   step_counter PACKAGE count KIND   one step between COUNTED_STEP's call and return
//   step_counter PACKAGE time         median nanoseconds of a step, a line "KIND NS" each, interleaved
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "vla_rt/core/time.hpp"
#include "vla_rt/package/policy_spec.hpp"

using namespace vla_rt;

extern "C" __attribute__((noinline)) void COUNTED_STEP(Model& model, const std::vector<float>& x,
                                                       std::vector<float>& out) {
  model.step(x, 0, out);
}

namespace {

const std::vector<std::string> kKinds{"zeros", "random", "denormals", "huge", "mixed"};

std::vector<float> numbers(const std::string& kind, std::size_t n) {
  std::mt19937 generator(9);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    const float z = normal(generator);
    if (kind == "random") values[i] = z;
    if (kind == "denormals") values[i] = z * 1e-39F;
    if (kind == "huge") values[i] = z * 1e30F;
    if (kind == "mixed") values[i] = i % 3 == 0 ? z * 1e-39F : i % 3 == 1 ? z * 1e18F : 0.0F;
  }
  return values;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const PolicySpec spec = read_policy_spec(argv[1]);
  const auto model = open_model("native", argv[1], signature_of(spec));
  model->prepare(std::vector<double>{0.5});
  std::vector<std::vector<float>> features;
  std::vector<TensorView> views;
  for (const FeatureSpec& feature : spec.observation)
    features.push_back(numbers("random", static_cast<std::size_t>(feature.tensor.num_elements())));
  for (std::size_t i = 0; i < features.size(); ++i)
    views.push_back({features[i].data(), DType::Float32, spec.observation[i].tensor.shape});
  model->encode(views);
  std::vector<float> out(model->output_size());
  if (std::strcmp(argv[2], "count") == 0 && argc > 3) {
    const std::vector<float> x = numbers(argv[3], model->input_size());
    model->step(x, 0, out);
    COUNTED_STEP(*model, x, out);
    return 0;
  }
  std::vector<std::vector<TimeNs>> times(kKinds.size());
  for (int round = 0; round < 400; ++round)
    for (std::size_t k = 0; k < kKinds.size(); ++k) {
      const std::vector<float> x = numbers(kKinds[k], model->input_size());
      const TimeNs before = steady_now();
      COUNTED_STEP(*model, x, out);
      times[k].push_back(steady_now() - before);
    }
  for (std::size_t k = 0; k < kKinds.size(); ++k) {
    std::nth_element(times[k].begin(), times[k].begin() + 200, times[k].end());
    std::printf("%s %lld\n", kKinds[k].c_str(), static_cast<long long>(times[k][200]));
  }
}
