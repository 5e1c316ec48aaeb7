#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "vla_rt/core/observation.hpp"

namespace vla_rt::bindings {

/// Writes one feature of an observation: uint8 stays uint8, other integers become int64, real numbers
/// float32. Throws ConfigError naming the feature for anything that is not an array of numbers.
inline void set_feature(Observation& observation, const std::string& name, const pybind11::handle& value) {
  const auto given = pybind11::reinterpret_borrow<ArrayLike>(value);
  const auto write = [&](const pybind11::array& a, DType dtype) {
    const std::vector<std::int64_t> shape(a.shape(), a.shape() + a.ndim());
    observation.set(name, dtype, shape, a.data());
  };
  const pybind11::array any = pybind11::array::ensure(given);
  if (!any) {
    PyErr_Clear();
    write(row_major<float>(given, name), DType::Float32);  // throws with the reason
    return;
  }
  const char kind = any.dtype().kind();
  if (kind == 'u' && any.itemsize() == 1) {
    write(row_major<std::uint8_t>(given, name), DType::UInt8);
  } else if (kind == 'i' || kind == 'u' || kind == 'b') {
    write(row_major<std::int64_t>(given, name), DType::Int64);
  } else {
    write(row_major<float>(given, name), DType::Float32);
  }
}

}  // namespace vla_rt::bindings
