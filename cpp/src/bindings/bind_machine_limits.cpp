#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "bindings/bindings.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/core/time.hpp"

namespace py = pybind11;

// What one thread of this machine can do at most, measured by loops that do nothing else.

namespace vla_rt::bindings {
namespace {

/// Vectors of the widest registers; the compiler makes do where they are narrower.
using Lanes = float __attribute__((vector_size(64)));
using Whole = std::int32_t __attribute__((vector_size(64)));

// Sixteen chains hide the latency of an addition and keep as many lines on their way.
template <class Vector>
[[gnu::always_inline]] inline float read_all(const Vector* data, std::size_t n) {
  Vector sum[16] = {};
  for (std::size_t i = 0; i + 16 <= n; i += 16)
    for (std::size_t j = 0; j < 16; ++j) sum[j] ^= data[i + j];
  for (std::size_t j = 1; j < 16; ++j) sum[0] ^= sum[j];
  return static_cast<float>(sum[0][0]);
}

[[gnu::always_inline]] inline float multiply_all(std::size_t rounds) {
  Lanes sum[16], a = {}, b = {};
  a += 0.999999F;
  b += 1e-9F;
  for (Lanes& s : sum) s = Lanes{} + 1.0F;
  for (std::size_t i = 0; i < rounds; ++i)
    for (Lanes& s : sum) s = s * a + b;
  for (std::size_t j = 1; j < 16; ++j) sum[0] += sum[j];
  return sum[0][0];
}

#if defined(__x86_64__)
#define VLA_RT_FUSED optimize("fp-contract=fast", "O3")
__attribute__((target("avx512f,prefer-vector-width=512"), VLA_RT_FUSED)) float read_512(const Whole* data,
                                                                                        std::size_t n) {
  return read_all(data, n);
}
__attribute__((target("avx2,fma"), VLA_RT_FUSED)) float read_256(const Whole* data, std::size_t n) {
  return read_all(data, n);
}
__attribute__((target("avx512f,prefer-vector-width=512"), VLA_RT_FUSED)) float multiply_512(
    std::size_t rounds) {
  return multiply_all(rounds);
}
__attribute__((target("avx2,fma"), VLA_RT_FUSED)) float multiply_256(std::size_t rounds) {
  return multiply_all(rounds);
}
#endif
float read_plain(const Whole* data, std::size_t n) { return read_all(data, n); }
float multiply_plain(std::size_t rounds) { return multiply_all(rounds); }

struct Loops {
  float (*read)(const Whole*, std::size_t) = &read_plain;
  float (*multiply)(std::size_t) = &multiply_plain;
};

Loops best_loops() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {&read_512, &multiply_512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {&read_256, &multiply_256};
#endif
  return {};
}

/// Shortest time of a call [s], over at least `seconds` and five calls.
template <class Work>
double fastest(double seconds, const Work& work) {
  TimeNs best = INT64_MAX;
  const TimeNs begin = steady_now();
  for (int i = 0; i < 5 || steady_now() - begin < from_seconds(seconds); ++i) {
    const TimeNs before = steady_now();
    work();
    best = std::min(best, steady_now() - before);
  }
  return to_seconds(std::max<TimeNs>(best, 1));
}

py::dict machine_limits(std::int64_t bytes, double seconds) {
  if (bytes < 1 || bytes > std::int64_t{1} << 34)
    throw ConfigError("bytes", std::to_string(bytes), "must be in 1..2^34");
  if (!(seconds >= 0 && seconds <= 60)) throw ConfigError("seconds", number(seconds), "must be in [0, 60] s");
  const Loops loops = best_loops();
  double read = 0, multiply = 0;
  volatile float result = 0;  // so that the work is wanted
  constexpr std::size_t kRounds = 20'000;
  {
    const py::gil_scoped_release release;
    const std::size_t blocks = (static_cast<std::size_t>(bytes) + 1023) / 1024;
    const std::vector<Whole> data(16 * blocks);
    const std::size_t passes = std::max<std::size_t>(1, 4096 / blocks);  // enough for the clock
    read = fastest(seconds / 2, [&] {
      for (std::size_t i = 0; i < passes; ++i) result = result + loops.read(data.data(), data.size());
    });
    read = static_cast<double>(passes * data.size() * sizeof(Whole)) / read;
    multiply = fastest(seconds / 2, [&] { result = result + loops.multiply(kRounds); });
    multiply = static_cast<double>(kRounds) * 16 * 16 * 2 / multiply;
  }
  py::dict d;
  d["read_gb_s"] = read * 1e-9;
  d["gflop_s"] = multiply * 1e-9;
  return d;
}

}  // namespace

void bind_machine_limits(py::module_& m) {
  m.def(
      "machine_limits", &machine_limits, py::arg("bytes"), py::arg("seconds") = 0.2,
      "What one thread can do at most: {read_gb_s: reading `bytes` over and over, gflop_s: of float32 fused\n"
      "multiply-adds}, measured for `seconds`, the fastest of all rounds.");
}

}  // namespace vla_rt::bindings
