#pragma once
#include <atomic>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Something that serves one user at a time: a robot has one control thread, a policy one inference thread.
class VLA_RT_API Exclusive {
 public:
  Exclusive() = default;
  Exclusive(const Exclusive&) = delete;
  Exclusive& operator=(const Exclusive&) = delete;

 private:
  friend class Claim;
  std::atomic<bool> claimed_{false};
};

/// Use of an `Exclusive` from here to the end of this object. Thread: any.
class VLA_RT_API Claim {
 public:
  /// Throws VlaRtError(`refusal`) when somebody else holds it.
  Claim(Exclusive& object, const char* refusal);
  ~Claim();
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

 private:
  Exclusive& object_;
};

}  // namespace vla_rt
