#pragma once
#include <string_view>

#include "inference/plan.hpp"

namespace vla_rt {

/// Reads the text of a plan.json. Throws FormatError naming the field as a JSON pointer. What the numbers
/// mean is checked when the plan is bound.
[[nodiscard]] Plan parse_plan(std::string_view text);

}  // namespace vla_rt
