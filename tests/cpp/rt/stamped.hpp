#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace vla_rt::test {

/// A value whose words all follow from its number: a torn read mixes two numbers and breaks the check.
struct Stamped {
  std::uint64_t number = 0;
  std::array<std::uint64_t, 31> words = filled(0);

  static constexpr std::uint64_t word(std::uint64_t number, std::size_t i) {
    return (number + 1) * 0x9e3779b97f4a7c15ull ^ (i * 0xbf58476d1ce4e5b9ull);
  }
  static constexpr std::array<std::uint64_t, 31> filled(std::uint64_t number) {
    std::array<std::uint64_t, 31> w{};
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = word(number, i);
    return w;
  }
  void stamp(std::uint64_t n) {
    number = n;
    words = filled(n);
  }
  [[nodiscard]] bool whole() const { return words == filled(number); }
};

}  // namespace vla_rt::test
