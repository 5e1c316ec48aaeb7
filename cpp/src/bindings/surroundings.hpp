#pragma once
#include <pybind11/pybind11.h>

#include "vla_rt/constraints/constraint_enforcer.hpp"

namespace vla_rt::bindings {

/// From a Workspace, a list of them or None, a CollisionModel or null, and a list of joints or None. Throws
/// ConfigError.
Surroundings surroundings_from(const pybind11::object& workspace, const CollisionModel* collision,
                               const pybind11::object& chain_joints);

}  // namespace vla_rt::bindings
