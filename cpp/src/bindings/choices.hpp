#pragma once
#include <cstddef>
#include <string>
#include <utility>

#include "vla_rt/core/errors.hpp"
#include "vla_rt/smoothing/row_interpolator.hpp"

namespace vla_rt::bindings {

/// The enumerator a word stands for. Throws ConfigError that lists the words.
template <class Enum, std::size_t N>
Enum choice(const std::string& word, const char* name, const std::pair<const char*, Enum> (&choices)[N]) {
  std::string known;
  for (const auto& [candidate, value] : choices) {
    if (word == candidate) return value;
    known += (known.empty() ? "" : " | ") + std::string(candidate);
  }
  throw ConfigError(name, "\"" + word + "\"", "must be " + known);
}

inline Interpolation interpolation_from(const std::string& word) {
  return choice<Interpolation>(word, "interpolation",
                               {{"linear", Interpolation::Linear},
                                {"cubic", Interpolation::Cubic},
                                {"quintic", Interpolation::Quintic}});
}

}  // namespace vla_rt::bindings
