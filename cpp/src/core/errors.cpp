#include "vla_rt/core/errors.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace vla_rt {

VlaRtError::VlaRtError(const std::string& message) : std::runtime_error(message) {}

VlaRtError::VlaRtError(std::string name, std::string value, std::string bound)
    : std::runtime_error(value.empty() ? name + ": " + bound : name + " = " + value + ": " + bound),
      name_(std::move(name)),
      value_(std::move(value)),
      bound_(std::move(bound)) {}

// Out of line, so that the type information has one home and can be caught across shared libraries.
VlaRtError::~VlaRtError() = default;
ConfigError::~ConfigError() = default;
ModelError::~ModelError() = default;
FormatError::~FormatError() = default;
RealtimeError::~RealtimeError() = default;

std::string indexed(const std::string& name, long index) { return name + "[" + std::to_string(index) + "]"; }

std::string number(double value) {
  if (std::isnan(value)) return "nan";
  std::array<char, 32> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? std::string(text.data(), end) : std::to_string(value);
}

}  // namespace vla_rt
