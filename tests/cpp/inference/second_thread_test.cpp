// A matrix shared with a second thread: the same bits, whether that thread helps, sleeps or is held up.
#include "inference/second_thread.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "inference/guarded.hpp"
#include "instruments/allocation_count.hpp"
#include "vla_rt/inference/instruction_set.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

constexpr int kRows = 5, kDepth = 130, kOutputs = 600;

/// A linear layer of this size, float32.
struct Layer {
  explicit Layer(const Kernels& kernels)
      : weight(kOutputs * kDepth),
        x(kRows * kDepth),
        packed(packed_size(kernels, kRows, 1, kDepth, kOutputs)),
        y(kRows * kOutputs) {
    weight.fill(1);
    x.fill(2);
    pack_matrix(kernels, kRows, 1, kDepth, kOutputs, weight.data(), {kDepth, 0, 1}, packed.data());
    for (int r = 0; r < kRows; ++r) rows.push_back(x.data() + r * kDepth);
    instruction.matrix = {packed.data(), nullptr, rows.data(), y.data(), kOutputs,
                          kRows,         1,       kDepth,      kOutputs, Function::Tanh};
  }
  /// What the layer answers, computed by this thread alone.
  [[nodiscard]] std::vector<float> alone(const Kernels& kernels) {
    kernels.matrix(instruction.matrix);
    std::vector<float> answer(y.data(), y.data() + y.size());
    std::fill(y.data(), y.data() + y.size(), -7.0f);
    return answer;
  }
  [[nodiscard]] bool is(const std::vector<float>& answer) const {
    return std::memcmp(y.data(), answer.data(), y.size() * sizeof(float)) == 0;
  }

  Guarded weight, x, packed, y;
  std::vector<const float*> rows;
  Instruction instruction{Instruction::Kind::Matrix, {}};
};

std::atomic<bool> held_up{false}, is_inside{false};
std::thread::id caller;
void (*real_matrix)(const MatrixArgs&) noexcept;

/// The kernel, which stops a thread other than the caller while `held_up`.
void stopping_matrix(const MatrixArgs& args) noexcept {
  while (std::this_thread::get_id() != caller && held_up.load()) is_inside.store(true);
  real_matrix(args);
}

}  // namespace

TEST_CASE("a matrix shared by two threads has the same bits, on every instruction set") {
  for (const InstructionSet set :
       {InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512, InstructionSet::Avx512Bf16}) {
    if (set > best_instruction_set()) continue;
    const Kernels& k = *kernels(set);
    Layer layer(k);
    const std::vector<float> expected = layer.alone(k);
    Arena arena(1 << 20);
    const auto shared = MatrixSharing(k, arena).share(layer.instruction);
    REQUIRE(shared);
    SecondThread second(k);
    CAPTURE(to_string(set));
    for (int i = 0; i < 300; ++i) {  // asleep at first, then awake
      std::fill(layer.y.data(), layer.y.data() + layer.y.size(), -7.0f);
      const long before = allocations();
      second.begin();
      second.run(*shared);
      second.end();
      CHECK(allocations() == before);
      REQUIRE(layer.is(expected));
      if (i % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

TEST_CASE("a small matrix is not shared") {
  const Kernels& k = *kernels(InstructionSet::Portable);
  Layer layer(k);
  layer.instruction.matrix.outputs = 100;
  Arena arena(1 << 20);
  CHECK(!MatrixSharing(k, arena).share(layer.instruction));
  CHECK(!MatrixSharing(k, arena).share(Instruction{Instruction::Kind::Softmax, {}}));
}

TEST_CASE(
    "a second thread that is held up delays no more than its bound, and gets no work until it is back") {
  Kernels k = *kernels(best_instruction_set());
  real_matrix = k.matrix;
  k.matrix = &stopping_matrix;
  caller = std::this_thread::get_id();
  Layer layer(k);
  const std::vector<float> expected = layer.alone(k);
  Arena arena(1 << 20);
  const auto shared = MatrixSharing(k, arena).share(layer.instruction);
  REQUIRE(shared);
  SecondThread second(k);
  held_up.store(true);
  second.begin();
  const auto start = std::chrono::steady_clock::now();
  while (!is_inside.load() && std::chrono::steady_clock::now() - start < std::chrono::seconds(20)) {
    second.run(*shared);
    REQUIRE(layer.is(expected));
  }
  REQUIRE(is_inside.load());
  const auto again = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) {  // waits for nobody
    layer.y.fill(9);
    second.run(*shared);
    REQUIRE(layer.is(expected));
  }
  CHECK(std::chrono::steady_clock::now() - again < std::chrono::seconds(5));
  layer.y.fill(9);
  const std::vector<float> untouched(layer.y.data(), layer.y.data() + layer.y.size());
  held_up.store(false);  // the late thread ends its half, in its own memory
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(layer.is(untouched));
  for (int i = 0; i < 100; ++i) second.run(*shared);
  CHECK(layer.is(expected));
  second.end();
}
