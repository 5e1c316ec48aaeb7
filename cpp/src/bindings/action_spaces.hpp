#pragma once
#include <pybind11/pybind11.h>

#include <memory>
#include <string>

#include "bindings/arrays.hpp"
#include "vla_rt/action_space/action_space.hpp"

namespace vla_rt::bindings {

template <typename T, typename... Base>
using Class = pybind11::class_<T, Base..., std::shared_ptr<T>>;

/// (..., dimension) of finite numbers.
inline Array<double> checked(const ArrayLike& values, const std::string& name, int dimension) {
  Array<double> in = row_major<double>(values, name);
  require_last(in, name, {dimension});
  require_finite(in, name);
  return in;
}

/// An array of the same shape that `map` fills from the elements.
template <typename Map>
Array<double> mapped(const Array<double>& in, const Map& map) {
  Array<double> out = empty_like<double>(in);
  const auto from = elements(in);
  const auto to = mutable_elements(out);
  without_gil(in.size() * 16, [&] { map(from, to); });
  return out;
}

// A space as plain values, ready for JSON, and back; in bind_action_space.cpp.
[[nodiscard]] pybind11::dict to_dict(const ActionSpaceSpec& spec);
[[nodiscard]] std::shared_ptr<ActionSpace> make_space(const ActionSpaceSpec& spec);
[[nodiscard]] std::shared_ptr<ActionSpace> make_space(const pybind11::dict& values);

template <typename T>
auto picklable() {
  return pybind11::pickle(
      [](const T& s) { return to_dict(s.spec()); },
      [](const pybind11::dict& d) { return std::dynamic_pointer_cast<T>(make_space(d)); });
}

}  // namespace vla_rt::bindings
