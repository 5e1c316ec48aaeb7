#include "inference/second_thread.hpp"

#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "inference/flush_denormals.hpp"

namespace vla_rt {
namespace {

constexpr int kTurnsBeforeSleep = 10'000;
constexpr std::chrono::microseconds kNap(50);
constexpr std::int64_t kLeastWork = 1 << 16;  ///< weights; a hand-over takes as long as some ten thousand

void pause() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// The outputs `first` .. `first + count` of a matrix, whose panels begin at `first`.
Instruction part_of(const Instruction& matrix, const Kernels& kernels, int first, int count) {
  Instruction part = matrix;
  const auto move = [first](auto*& pointer, std::int64_t by) {
    if (pointer != nullptr && first > 0) pointer += by;
  };
  if (matrix.kind == Instruction::Kind::Matrix) {
    MatrixArgs& m = part.matrix;
    const auto before = packed_size(kernels, m.num_rows, m.taps, m.depth, first);
    move(m.weight, static_cast<std::int64_t>(before));
    move(m.bias, first);
    move(m.output, first);
    m.outputs = count;
  } else {
    NarrowMatrixArgs& m = part.narrow;
    const auto before = packed_narrow_size(kernels, m.type, m.num_rows, m.taps, m.depth, first);
    move(m.weight, static_cast<std::int64_t>(before));
    move(m.bias, first);
    move(m.scale, first);
    move(m.output, first);
    m.outputs = count;
  }
  return part;
}

/// The same fields of either kind of matrix.
template <class F>
auto with_matrix(auto& instruction, F f) {
  return instruction.kind == Instruction::Kind::Matrix ? f(instruction.matrix) : f(instruction.narrow);
}

}  // namespace

std::optional<SharedMatrix> MatrixSharing::share(const Instruction& matrix) {
  if (matrix.kind != Instruction::Kind::Matrix && matrix.kind != Instruction::Kind::NarrowMatrix) return {};
  return with_matrix(matrix, [&](const auto& m) -> std::optional<SharedMatrix> {
    const int panel = kernels_.panel(m.num_rows), panels = (m.outputs + panel - 1) / panel;
    if (panels < 2 || std::int64_t{m.taps} * m.depth * m.outputs < kLeastWork) return {};
    const int own = (panels + 1) / 2 * panel, rest = m.outputs - own;
    SharedMatrix shared{part_of(matrix, kernels_, 0, own),
                        part_of(matrix, kernels_, own, rest),
                        nullptr,
                        nullptr,
                        m.output_stride,
                        m.num_rows,
                        rest,
                        part_of(matrix, kernels_, own, rest)};
    float* place = memory(std::int64_t{m.num_rows} * rest);
    shared.from = place;
    with_matrix(shared.others, [&](auto& other) {
      shared.to = other.output;
      other.output = place;
      other.output_stride = rest;
    });
    return shared;
  });
}

float* MatrixSharing::memory(std::int64_t floats) {
  if (floats > size_) {
    memory_ = arena_.floats(floats);
    size_ = floats;
  }
  return memory_;
}

SecondThread::SecondThread(const Kernels& kernels) : kernels_(kernels), thread_([this] { loop(); }) {
  pthread_setname_np(thread_.native_handle(), "vla_rt_second");
}

SecondThread::~SecondThread() {
  leaving_.store(true, std::memory_order_relaxed);
  thread_.join();
}

void SecondThread::loop() noexcept {
  prctl(PR_SET_TIMERSLACK, 1UL);
  const FlushDenormals flush;
  int turns = 0;
  while (!leaving_.load(std::memory_order_relaxed)) {
    State offered = State::Offered;
    if (state_.load(std::memory_order_relaxed) == State::Offered &&
        state_.compare_exchange_strong(offered, State::Taken, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      vla_rt::run(*job_, kernels_);
      state_.store(State::Done, std::memory_order_release);
      turns = 0;
    } else if (in_use_.load(std::memory_order_relaxed)) {
      turns = 0;
      pause();
    } else if (++turns < kTurnsBeforeSleep) {
      pause();
    } else {
      std::this_thread::sleep_for(kNap);
    }
  }
}

bool SecondThread::offer(const Instruction& job) noexcept {
  if (state_.load(std::memory_order_acquire) == State::Taken) return false;  // still late
  job_ = &job;
  state_.store(State::Offered, std::memory_order_release);
  return true;
}

bool SecondThread::finish() noexcept {
  State state = State::Offered;
  if (state_.compare_exchange_strong(state, State::Idle, std::memory_order_acquire)) return false;
  for (int turn = 0; turn < kLongestWait; ++turn) {
    if (state_.load(std::memory_order_acquire) == State::Done) return true;
    pause();
  }
  return false;
}

void SecondThread::run(const SharedMatrix& matrix) noexcept {
  const bool offered = offer(matrix.others);
  vla_rt::run(matrix.own, kernels_);
  if (offered && finish()) {
    for (int r = 0; r < matrix.num_rows; ++r)
      std::memcpy(matrix.to + r * matrix.to_stride, matrix.from + r * std::int64_t{matrix.columns},
                  static_cast<std::size_t>(matrix.columns) * sizeof(float));
  } else {
    vla_rt::run(matrix.late, kernels_);
  }
}

}  // namespace vla_rt
