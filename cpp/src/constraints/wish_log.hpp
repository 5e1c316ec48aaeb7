#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "vla_rt/constraints/constraint_enforcer.hpp"

namespace vla_rt::constraints {

/// The newest `kLogCapacity` wishes, without allocation.
class WishLog {
 public:
  void clear() noexcept { count_ = 0; }
  [[nodiscard]] std::int64_t count() const noexcept { return count_; }

  void add(const WishLogEntry& entry) noexcept {
    entries_[slot(count_)] = entry;
    ++count_;
  }

  [[nodiscard]] int copy(std::span<WishLogEntry> out) const noexcept {
    const std::int64_t n = std::min({count_, kCapacity, static_cast<std::int64_t>(out.size())});
    for (std::int64_t k = 0; k < n; ++k) out[static_cast<std::size_t>(k)] = entries_[slot(count_ - n + k)];
    return static_cast<int>(n);
  }

 private:
  static constexpr std::int64_t kCapacity = ConstraintEnforcer::kLogCapacity;
  static std::size_t slot(std::int64_t k) noexcept { return static_cast<std::size_t>(k % kCapacity); }

  std::array<WishLogEntry, static_cast<std::size_t>(kCapacity)> entries_;
  std::int64_t count_ = 0;
};

}  // namespace vla_rt::constraints
