#pragma once
#include <string>

#include "bindings/arrays.hpp"
#include "bindings/choices.hpp"
#include "vla_rt/constraints/differential_ik.hpp"

namespace vla_rt::bindings {

/// The options as Python spells them; a `posture` of None is the position of `reset`.
inline DifferentialIkOptions differential_ik_options(double rotation_scale, double singular_value,
                                                     const ArrayLike& posture, double posture_gain) {
  DifferentialIkOptions options{rotation_scale, singular_value, {}, posture_gain};
  if (!posture.is_none()) options.posture = vector_of<double>(posture, "posture");
  return options;
}

inline DeltaFrame delta_frame_from(const std::string& word, const char* name) {
  return choice<DeltaFrame>(word, name, {{"base", DeltaFrame::Base}, {"tool", DeltaFrame::Tool}});
}

}  // namespace vla_rt::bindings
