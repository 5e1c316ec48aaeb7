#pragma once
#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <string>

#include "bindings/arrays.hpp"
#include "vla_rt/constraints/collision_model.hpp"
#include "vla_rt/constraints/workspace.hpp"

// Points, shapes and lists as Python gives them. Each throws ConfigError naming the argument.

namespace vla_rt::bindings {

inline ArrayLike array_like(const pybind11::object& object) {
  return pybind11::reinterpret_borrow<ArrayLike>(object);
}

inline Vector3 vector3(const ArrayLike& values, const std::string& name) {
  const Array<double> a = row_major<double>(values, name);
  require_shape(a, name, {3});
  return {a.data()[0], a.data()[1], a.data()[2]};
}

inline pybind11::array_t<double> array3(const Vector3& v) { return pybind11::array_t<double>(3, v.data()); }

inline std::array<double, 9> rotation(const ArrayLike& values, const std::string& name) {
  const Array<double> a = row_major<double>(values, name);
  require_shape(a, name, {3, 3});
  std::array<double, 9> r{};
  std::copy_n(a.data(), 9, r.begin());
  return r;
}

inline std::string type_name(const pybind11::handle& object) {
  return pybind11::str(pybind11::type::of(object).attr("__name__")).cast<std::string>();
}

inline Capsule capsule(const ArrayLike& start, const ArrayLike& end, double radius, const std::string& link,
                       const std::string& name) {
  return {.start = vector3(start, name + "start"),
          .end = vector3(end, name + "end"),
          .radius = radius,
          .link = link};
}

inline WorldBox box(const ArrayLike& center, const ArrayLike& size, const pybind11::object& turn,
                    const std::string& name) {
  WorldBox b;
  b.pose.translation = vector3(center, name + "center");
  const Vector3 edges = vector3(size, name + "size");
  b.half_size = {0.5 * edges[0], 0.5 * edges[1], 0.5 * edges[2]};
  if (!turn.is_none()) b.pose.rotation = rotation(array_like(turn), name + "rotation");
  return b;
}

inline HalfSpace half_space(const ArrayLike& normal, double offset, const std::string& name) {
  return {vector3(normal, name + "normal"), offset};
}

inline double real(const pybind11::handle& value, const std::string& name) {
  try {
    return value.cast<double>();
  } catch (const pybind11::cast_error&) {
    throw ConfigError(name, type_name(value), "must be a number");
  }
}

inline std::string text(const pybind11::handle& value, const std::string& name) {
  if (!pybind11::isinstance<pybind11::str>(value))
    throw ConfigError(name, type_name(value), "must be a link's name");
  return value.cast<std::string>();
}

inline pybind11::sequence items_of(const pybind11::object& object, const std::string& name) {
  if (!pybind11::isinstance<pybind11::sequence>(object) || pybind11::isinstance<pybind11::str>(object))
    throw ConfigError(name, type_name(object), "must be a list");
  return object.cast<pybind11::sequence>();
}

}  // namespace vla_rt::bindings
