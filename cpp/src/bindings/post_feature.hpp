#pragma once
#include <string>

#include "bindings/arrays.hpp"
#include "vla_rt/execution/feature_board.hpp"

namespace vla_rt::bindings {

// What robots with a FeatureBoard offer as `post_feature`.
void post_feature(FeatureBoard& board, const std::string& name, const ArrayLike& values);
extern const char* const kPostFeature;

}  // namespace vla_rt::bindings
