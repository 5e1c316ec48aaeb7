#pragma once
#include <stdexcept>
#include <string>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Base of every error this library throws. Thrown by set-up only, never by a tick.
///
/// Carries the offending field (`name`, with index: "max_velocity[3]"), the `value` it had and the `bound` it
/// broke; any of the three may be empty. In Python: `vla_rt.VlaRtError` with the same attributes.
class VLA_RT_API VlaRtError : public std::runtime_error {
 public:
  explicit VlaRtError(const std::string& message);
  /// Message: "<name> = <value>: <bound>", e.g. "max_velocity[3] = -1: must be finite and > 0".
  VlaRtError(std::string name, std::string value, std::string bound);
  ~VlaRtError() override;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& value() const noexcept { return value_; }
  [[nodiscard]] const std::string& bound() const noexcept { return bound_; }

 private:
  std::string name_, value_, bound_;
};

/// A parameter, shape or input is wrong. In Python also a ValueError.
class VLA_RT_API ConfigError : public VlaRtError {
 public:
  using VlaRtError::VlaRtError;
  ~ConfigError() override;
};

/// A model or policy could not be built, exported or run.
class VLA_RT_API ModelError : public VlaRtError {
 public:
  using VlaRtError::VlaRtError;
  ~ModelError() override;
};

/// A file does not hold what its format promises; `name` is the field.
class VLA_RT_API FormatError : public VlaRtError {
 public:
  using VlaRtError::VlaRtError;
  ~FormatError() override;
};

/// A real-time privilege that was enforced could not be had.
class VLA_RT_API RealtimeError : public VlaRtError {
 public:
  using VlaRtError::VlaRtError;
  ~RealtimeError() override;
};

/// "name[index]".
[[nodiscard]] VLA_RT_API std::string indexed(const std::string& name, long index);
/// Shortest decimal that reads back as the same double ("nan", "inf", "-inf" for the others).
[[nodiscard]] VLA_RT_API std::string number(double value);

}  // namespace vla_rt
