#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "vla_rt/constraints/constraint_enforcer.hpp"
#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Keeps every wish that an enforcer could not grant in a file, one JSON object per line:
/// {"time_s", "joint", "cause", "wanted", "given"}, null for a number that is not finite.
///
/// A line is written when a cause begins to act on a joint, not again while it lasts. The control thread
/// hands entries over through a ring; a thread of this object's own writes them. Thread: `take` the
/// enforcer's; `close` the owner's; the counts any.
class VLA_RT_API ViolationLog {
 public:
  /// Makes (or empties) the file. Throws ConfigError naming path and reason when that fails.
  explicit ViolationLog(const std::string& path);
  /// Closes.
  ~ViolationLog();
  ViolationLog(const ViolationLog&) = delete;
  ViolationLog& operator=(const ViolationLog&) = delete;

  /// Hands over what `enforcer`, always the same one, has logged since the last call; after every tick, say.
  /// The first call: what it still has since its last reset; what it no longer has was before this log and is
  /// not counted.
  /// Real-time: wait-free, no allocation.
  void take(const ConstraintEnforcer& enforcer) noexcept VLA_RT_NONBLOCKING;
  /// Writes what was handed over and ends the thread. What is taken afterwards is lost.
  void close() noexcept;

  /// Lines in the file.
  [[nodiscard]] std::int64_t written() const noexcept;
  /// Entries that came too fast for ring or enforcer, or that the file refused.
  [[nodiscard]] std::int64_t dropped() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
