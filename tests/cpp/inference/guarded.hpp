// Numbers that end where memory ends: reading or writing one float beyond the last ends the process.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <vector>

namespace vla_rt::testing {

class Guarded {
 public:
  explicit Guarded(std::size_t size) : size_(size) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (size * sizeof(float) + page - 1) / page * page;
    void* found = mmap(nullptr, bytes_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED || mprotect(static_cast<char*>(found) + bytes_, page, PROT_NONE) != 0)
      throw std::runtime_error("mmap");
    base_ = static_cast<char*>(found);
    whole_ = bytes_ + page;
  }
  ~Guarded() { munmap(base_, whole_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  [[nodiscard]] float* data() const noexcept {
    return reinterpret_cast<float*>(base_ + bytes_ - size_ * sizeof(float));
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  float& operator[](std::size_t i) const noexcept { return data()[i]; }

  const Guarded& fill(unsigned seed, float scale = 1.0f) const {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, scale);
    for (std::size_t i = 0; i < size_; ++i) data()[i] = normal(random);
    return *this;
  }

 private:
  std::size_t size_ = 0, bytes_ = 0, whole_ = 0;
  char* base_ = nullptr;
};

}  // namespace vla_rt::testing
