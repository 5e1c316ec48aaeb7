#pragma once
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/observation.hpp"

namespace vla_rt {

/// The newest value of everything a policy sees besides the joints: goals, images, instructions.
///
/// Posted by whoever measures it, read by the inference thread; the control tick never touches it.
/// Real-time: no (locks, allocates when a size changes). Thread: any.
class VLA_RT_API FeatureBoard {
 public:
  /// Replaces feature `name`; `data` holds the product of `shape` values of `dtype`, row-major.
  void post(std::string_view name, DType dtype, std::span<const std::int64_t> shape, const void* data);
  /// A float32 vector from doubles.
  void post(std::string_view name, std::span<const double> values);

  /// Writes every posted feature into `observation`.
  void copy_to(Observation& observation) const;

 private:
  mutable std::mutex mutex_;
  Observation features_;
};

}  // namespace vla_rt
