#pragma once
#include <array>
#include <utility>
#include <vector>

#include "vla_rt/action_space/normalizer_spec.hpp"

namespace vla_rt {

/// Name of every statistic, as files and Python spell it, beside its place in a NormalizerSpec.
inline constexpr std::array<std::pair<const char*, std::vector<double> NormalizerSpec::*>, 8>
    kNormalizerStatistics = {{{"mean", &NormalizerSpec::mean},
                              {"std", &NormalizerSpec::std},
                              {"min", &NormalizerSpec::min},
                              {"max", &NormalizerSpec::max},
                              {"q01", &NormalizerSpec::q01},
                              {"q99", &NormalizerSpec::q99},
                              {"q10", &NormalizerSpec::q10},
                              {"q90", &NormalizerSpec::q90}}};

}  // namespace vla_rt
