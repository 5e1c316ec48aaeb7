#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "inference/kernels.hpp"
#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Where the numbers of a buffer come from and how long they last. All numbers are float32.
enum class BufferRole : std::uint8_t {
  Weight,       ///< a tensor of the weights file
  Temporary,    ///< lives inside one run of one stage
  Row,          ///< written by `prepare` for every step time, read by `step`
  Context,      ///< written by `encode`, read and perhaps written by `step`
  Time,         ///< input of `prepare`: one number
  Observation,  ///< input of `encode`; the i-th such buffer is the i-th feature
  Input,        ///< input of `step`: the noisy chunk
  Answer        ///< output of `step`
};

struct PlanBuffer {
  BufferRole role = BufferRole::Temporary;
  std::int64_t size = 0;  ///< floats; of a weight what its tensor has
  std::string tensor{};   ///< name in the weights file
};

/// Part of a buffer seen as a tensor: element (i, j, ...) is at offset + i * strides[0] + j * strides[1] +
/// ...
struct PlanView {
  int buffer = 0;
  std::int64_t offset = 0;
  std::vector<std::int64_t> shape, strides;
};

struct PlanOperation {
  std::string name;
  std::vector<int> inputs;  ///< views; -1 where an operand is left out
  int output = 0;           ///< view
  std::string function;     ///< of elementwise and reduce; activation of the others; may be empty
  std::map<std::string, std::vector<double>> numbers;
};

enum class Stage : std::uint8_t { Prepare, Encode, Step };
constexpr int kNumStages = 3;
[[nodiscard]] const char* to_string(Stage stage) noexcept;

/// What the compiler of the exporter wrote down: a program for every stage over static memory.
struct Plan {
  std::vector<PlanBuffer> buffers;
  std::vector<PlanView> views;
  std::array<std::vector<PlanOperation>, kNumStages> stages;
};

/// A tensor of the weights file, dense, row-major; the memory is someone else's. BFloat16 and Int8 are for
/// the matrices of linear layers and convolutions alone.
struct PlanTensor {
  WeightType type = WeightType::Float32;
  const void* data = nullptr;
  std::size_t size = 0;  ///< elements

  PlanTensor() = default;
  PlanTensor(WeightType kind, const void* numbers, std::size_t count)
      : type(kind), data(numbers), size(count) {}
  // NOLINTNEXTLINE(google-explicit-constructor): floats are a tensor
  PlanTensor(std::span<const float> values)
      : type(WeightType::Float32), data(values.data()), size(values.size()) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  PlanTensor(const std::vector<float>& values) : PlanTensor(std::span(values)) {}

  /// Of a Float32 tensor.
  [[nodiscard]] std::span<const float> floats() const noexcept {
    return {static_cast<const float*>(data), size};
  }
};

/// Tensors of the weights file by name.
using PlanWeights = std::map<std::string, PlanTensor>;

constexpr std::int64_t kMaxBufferSize = std::int64_t{1} << 28;   ///< floats
constexpr std::int64_t kMaxWorkingSize = std::int64_t{1} << 28;  ///< floats, all buffers but the weights
constexpr std::size_t kMaxBuffers = 50'000, kMaxViews = 200'000, kMaxOperations = 20'000;

/// Checks everything that does not depend on the kind of an operation: sizes, views inside their buffers, who
/// may read and write what when, nothing read before it is written. Fills in the sizes of the weights.
/// Throws FormatError naming the field of plan.json.
void check_plan(Plan& plan, const PlanWeights& weights);

/// First and last operation of its stage that touches a temporary buffer; stage -1 for one that is not used.
struct Lifetime {
  int stage = -1, first = 0, last = 0;
};
[[nodiscard]] VLA_RT_API std::vector<Lifetime> lifetimes(const Plan& plan);

/// Static memory plan: offset in floats of every temporary buffer, those that live at the same time apart;
/// `total` floats are needed. Offsets are whole cache lines.
[[nodiscard]] VLA_RT_API std::vector<std::int64_t> place_temporaries(const Plan& plan, std::int64_t& total);

}  // namespace vla_rt
