#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {

/// The value that a hostile text holds. What prints or copies a value goes as deep as the value does, so its
/// depth is bounded. Throws FormatError naming the file.
inline nlohmann::json parse_bounded_json(const std::string& text, const std::string& file) {
  constexpr int kMaxDepth = 32;
  using Json = nlohmann::json;
  const auto watch = [&](int depth, Json::parse_event_t, const Json&) {
    if (depth > kMaxDepth)
      throw FormatError(file, "", "must not be nested deeper than " + std::to_string(kMaxDepth));
    return true;
  };
  Json value = Json::parse(text, watch, false);
  if (value.is_discarded()) throw FormatError(file, "", "is not JSON");
  return value;
}

}  // namespace vla_rt
