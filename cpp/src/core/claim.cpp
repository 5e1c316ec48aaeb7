#include "vla_rt/core/claim.hpp"

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

Claim::Claim(Exclusive& object, const char* refusal) : object_(object) {
  // Acquire and release: what the last user wrote is seen by the next.
  if (object_.claimed_.exchange(true, std::memory_order_acquire)) throw VlaRtError(refusal);
}
Claim::~Claim() { object_.claimed_.store(false, std::memory_order_release); }

}  // namespace vla_rt
