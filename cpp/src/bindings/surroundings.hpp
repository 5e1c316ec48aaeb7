#pragma once
#include <pybind11/pybind11.h>

#include "vla_rt/constraints/constraint_enforcer.hpp"

namespace vla_rt::bindings {

/// From a Workspace, a list of them or None, and a CollisionModel or null. Throws ConfigError.
Surroundings surroundings_from(const pybind11::object& workspace, const CollisionModel* collision);

}  // namespace vla_rt::bindings
