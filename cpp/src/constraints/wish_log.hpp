#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "constraints/motion_state.hpp"
#include "constraints/safe_set.hpp"
#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/core/capacity.hpp"

namespace vla_rt::constraints {

/// Which wishes were not granted: an entry when a cause begins to act on a joint, and how long it acts.
/// The newest `kLogCapacity` entries are kept. Real-time: wait-free, no allocation.
class WishLog {
 public:
  void clear() noexcept {
    first_ = count_;
    last_causes_ = {};
    ticks_limited_ = {};
  }
  /// Entries ever added; the number of the next one.
  [[nodiscard]] std::int64_t count() const noexcept { return count_; }
  /// Ticks since `clear` in which a cause acted on joint i.
  [[nodiscard]] std::int64_t ticks_limited(std::size_t i, Cause cause) const noexcept {
    return ticks_limited_[i][slot_of(static_cast<unsigned>(cause))];
  }

  /// The causes that acted on joint i in the tick just commanded, at time_s. `target` is the wish as it came,
  /// `goal` what was made of it.
  void note(std::size_t i, unsigned causes, double target, double goal, const CommandedMotion& now, double h,
            double time_s) noexcept {
    for (unsigned left = causes; left != 0; left &= left - 1) ++ticks_limited_[i][slot_of(left)];
    const unsigned fresh = causes & ~last_causes_[i];
    last_causes_[i] = causes;
    if (fresh == 0) return;
    const RatesAsked asked = rates_to(goal, now.before[i], h);
    const auto add_if = [&](unsigned bit, double wanted, double given) {
      if ((fresh & bit) != 0)
        add({.joint = static_cast<std::int32_t>(i),
             .cause = static_cast<Cause>(bit),
             .wanted = wanted,
             .given = given,
             .time_s = time_s});
    };
    for (const unsigned bit : {kNonFinite, kPosition, kWorkspace, kCollision}) add_if(bit, target, now.q[i]);
    add_if(kVelocity, asked.v, now.v[i]);
    add_if(kAcceleration, asked.a, now.a[i]);
    add_if(kJerk, asked.j, now.jerk[i]);
  }

  /// Entries from number `first` on in order, as far as they are still kept and fit; returns how many.
  [[nodiscard]] int copy(std::int64_t first, std::span<WishLogEntry> out) const noexcept {
    first = std::max({first, count_ - kCapacity, first_});
    const std::int64_t n = std::min(count_ - first, static_cast<std::int64_t>(out.size()));
    for (std::int64_t k = 0; k < n; ++k)
      out[static_cast<std::size_t>(k)] = entries_[static_cast<std::size_t>((first + k) % kCapacity)];
    return static_cast<int>(std::max<std::int64_t>(n, 0));
  }

 private:
  static constexpr std::int64_t kCapacity = ConstraintEnforcer::kLogCapacity;
  static constexpr std::size_t kCauses = 7;
  static std::size_t slot_of(unsigned mask) noexcept {
    return static_cast<std::size_t>(std::countr_zero(mask));
  }

  void add(const WishLogEntry& entry) noexcept {
    entries_[static_cast<std::size_t>(count_ % kCapacity)] = entry;
    ++count_;
  }

  std::array<WishLogEntry, static_cast<std::size_t>(kCapacity)> entries_;
  std::int64_t count_ = 0, first_ = 0;  // first_: the oldest since `clear`
  std::array<unsigned, kMaxActionDim> last_causes_{};
  std::array<std::array<std::int64_t, kCauses>, kMaxActionDim> ticks_limited_{};
};

}  // namespace vla_rt::constraints
