#pragma once
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt::bindings {

/// A Python or numpy integer as an unsigned 64-bit counter or seed. Throws ConfigError naming `name` for
/// anything else.
inline std::uint64_t seed_of(const pybind11::object& value, const std::string& name) {
  const auto index = pybind11::reinterpret_steal<pybind11::object>(PyNumber_Index(value.ptr()));
  if (!index) {
    PyErr_Clear();
    throw ConfigError(name, pybind11::repr(value).cast<std::string>(), "must be an integer");
  }
  const std::uint64_t result = PyLong_AsUnsignedLongLong(index.ptr());
  if (PyErr_Occurred()) {
    PyErr_Clear();
    throw ConfigError(name, pybind11::str(index).cast<std::string>(), "must be in 0..2^64-1");
  }
  return result;
}

}  // namespace vla_rt::bindings
