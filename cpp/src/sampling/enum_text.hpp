#pragma once
#include <array>
#include <string>
#include <utility>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

/// The texts of an enumeration's values.
template <class Enum, std::size_t kCount>
using EnumText = std::array<std::pair<Enum, const char*>, kCount>;

template <class Enum, std::size_t kCount>
const char* text_of(const EnumText<Enum, kCount>& texts, Enum value) noexcept {
  for (const auto& [known, text] : texts)
    if (known == value) return text;
  return "unknown";
}

/// Throws ConfigError naming `field` and the accepted texts.
template <class Enum, std::size_t kCount>
Enum value_of(const EnumText<Enum, kCount>& texts, const std::string& text, const std::string& field) {
  std::string choices;
  for (const auto& [value, known] : texts) {
    if (text == known) return value;
    choices += (choices.empty() ? "" : ", ") + std::string(known);
  }
  throw ConfigError(field, text, "must be one of " + choices);
}

}  // namespace vla_rt
