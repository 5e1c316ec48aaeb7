#pragma once
#include <memory>
#include <span>
#include <string>

#include "vla_rt/action_space/action_space_spec.hpp"
#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// What the D numbers of a raw action mean, and how they map to [-1, 1] and back.
///
/// Arrays are (..., D) row-major. Nothing is clipped: a raw value beyond its bound maps beyond +-1 and back.
/// Errors are ConfigErrors naming "actions[i]" (flat index) for a number that is not finite, or "actions"
/// when the sizes differ or are no multiple of D; the output is untouched then.
///
/// Real-time: no allocation, but may throw. Thread: immutable; any number of threads.
class VLA_RT_API ActionSpace {
 public:
  virtual ~ActionSpace();

  /// Throws ConfigError naming field, index, value and bound for a spec that makes no sense, or D >
  /// kMaxActionDim.
  [[nodiscard]] static std::unique_ptr<const ActionSpace> make(const ActionSpaceSpec& spec);

  [[nodiscard]] ActionSpaceKind kind() const noexcept { return spec_.kind; }
  /// D.
  [[nodiscard]] int dimension() const noexcept { return dimension_; }
  [[nodiscard]] const ActionSpaceSpec& spec() const noexcept { return spec_; }

  /// Raw to [-1, 1]; `normalized` may be `actions` itself.
  void normalize(std::span<const double> actions, std::span<double> normalized) const;
  /// [-1, 1] to raw; `actions` may be `normalized` itself.
  void denormalize(std::span<const double> normalized, std::span<double> actions) const;

 protected:
  ActionSpace(ActionSpaceSpec spec, int dimension);

  /// One action of D finite numbers that passed check_one; both spans may be the same.
  virtual void normalize_one(std::span<const double> action, std::span<double> normalized) const = 0;
  virtual void denormalize_one(std::span<const double> normalized, std::span<double> action) const = 0;
  /// Throws ConfigError naming "actions[first + d]" for a raw action that is not in the space.
  virtual void check_one(std::span<const double> action, long first) const;

  friend class HybridActionSpace;

 private:
  ActionSpaceSpec spec_;
  int dimension_;
};

}  // namespace vla_rt
