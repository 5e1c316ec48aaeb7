#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "vla_rt/core/errors.hpp"

namespace vla_rt::bindings {

/// Argument type of every binding that takes an array: anything numpy can turn into one, shown in signatures
/// as `numpy.typing.ArrayLike`. Turn it into numbers with `row_major`, which knows the argument's name for
/// its errors.
class ArrayLike : public pybind11::object {
 public:
  using pybind11::object::object;
  static bool check_(pybind11::handle h) { return h.ptr() != nullptr; }
};

template <typename T>
using Array = pybind11::array_t<T, pybind11::array::c_style | pybind11::array::forcecast>;

/// "(2, 3)".
inline std::string shape_text(const pybind11::array& a) {
  std::string text = "(";
  for (pybind11::ssize_t i = 0; i < a.ndim(); ++i) text += (i > 0 ? ", " : "") + std::to_string(a.shape(i));
  return text + (a.ndim() == 1 ? ",)" : ")");
}

/// Name of one element by its flat row-major index: "actions[2, 3]".
inline std::string element_name(const std::string& name, const pybind11::array& a, std::size_t flat) {
  std::vector<std::size_t> index(static_cast<std::size_t>(a.ndim()));
  for (pybind11::ssize_t i = a.ndim(); i-- > 0;) {
    index[static_cast<std::size_t>(i)] = flat % static_cast<std::size_t>(a.shape(i));
    flat /= static_cast<std::size_t>(a.shape(i));
  }
  if (index.empty()) return name;
  std::string text = name + "[";
  for (std::size_t i = 0; i < index.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(index[i]);
  return text + "]";
}

/// A dense row-major copy (or the array itself where it already is one) of element type T. Real numbers of
/// any dtype and layout are converted; integer T takes integers only. Throws ConfigError naming `name` for
/// anything else.
template <typename T>
Array<T> row_major(const ArrayLike& values, const std::string& name) {
  if (values.is_none()) throw ConfigError(name, "None", "must be an array of numbers");
  pybind11::array any = pybind11::array::ensure(values);
  if (!any) {
    PyErr_Clear();
    throw ConfigError(name, pybind11::str(pybind11::type::of(values).attr("__name__")).cast<std::string>(),
                      "must be an array of numbers, all rows equally long");
  }
  const char kind = any.dtype().kind();
  const bool integral = kind == 'i' || kind == 'u' || kind == 'b';
  // An empty list has numpy's default dtype (float64) and holds no number that could be cut.
  if (!integral && (kind != 'f' || (std::is_integral_v<T> && any.size() > 0)))
    throw ConfigError(name, "dtype " + pybind11::str(any.dtype()).cast<std::string>(),
                      std::is_integral_v<T> ? "must hold integers" : "must hold real numbers");
  Array<T> dense = Array<T>::ensure(any);
  if (!dense)  // ensure() has cleared numpy's own error: a number outside the range of T
    throw ConfigError(name, "dtype " + pybind11::str(any.dtype()).cast<std::string>(),
                      "must fit " + pybind11::str(pybind11::dtype::of<T>()).cast<std::string>());
  return dense;
}

/// The elements, flat.
template <typename T>
std::span<const T> elements(const Array<T>& a) {
  return {a.data(), static_cast<std::size_t>(a.size())};
}
/// The elements of a freshly made array, to be written.
template <typename T>
std::span<T> mutable_elements(Array<T>& a) {
  return {a.mutable_data(), static_cast<std::size_t>(a.size())};
}

/// A new array of the same shape, uninitialised.
template <typename T>
Array<T> empty_like(const pybind11::array& a) {
  return Array<T>(std::vector<pybind11::ssize_t>(a.shape(), a.shape() + a.ndim()));
}
/// A new array (leading dims of `a`, last...), uninitialised: `a` without its last `drop` dims, then `last`.
template <typename T>
Array<T> with_last(const pybind11::array& a, int drop, std::initializer_list<pybind11::ssize_t> last) {
  std::vector<pybind11::ssize_t> shape(a.shape(), a.shape() + (a.ndim() - drop));
  shape.insert(shape.end(), last);
  return Array<T>(shape);
}

/// Throws ConfigError unless the shape is `expected`; -1 stands for any extent.
inline void require_shape(const pybind11::array& a, const std::string& name,
                          std::initializer_list<pybind11::ssize_t> expected) {
  bool good = a.ndim() == static_cast<pybind11::ssize_t>(expected.size());
  std::string text = "(";
  pybind11::ssize_t i = 0;
  for (const pybind11::ssize_t extent : expected) {
    text += (i > 0 ? ", " : "") + (extent < 0 ? std::string("any") : std::to_string(extent));
    good = good && (extent < 0 || a.shape(i) == extent);
    ++i;
  }
  text += expected.size() == 1 ? ",)" : ")";
  if (!good) throw ConfigError(name, "shape " + shape_text(a), "must have shape " + text);
}

/// Throws ConfigError unless the last dims are `last`; any leading dims are accepted.
inline void require_last(const pybind11::array& a, const std::string& name,
                         std::initializer_list<pybind11::ssize_t> last) {
  const auto n = static_cast<pybind11::ssize_t>(last.size());
  bool good = a.ndim() >= n;
  std::string text = "(...";
  pybind11::ssize_t i = a.ndim() - n;
  for (const pybind11::ssize_t extent : last) {
    text += ", " + std::to_string(extent);
    good = good && a.shape(i) == extent;
    ++i;
  }
  if (!good) throw ConfigError(name, "shape " + shape_text(a), "must have shape " + text + ")");
}

/// Runs `work` without the GIL when it handles so many elements that it takes more than a few microseconds;
/// `count` is their number, times the nanoseconds that one takes.
template <typename Work>
void without_gil(pybind11::ssize_t count, const Work& work) {
  if (count < 1024) return work();
  const pybind11::gil_scoped_release release;
  work();
}

/// Throws ConfigError naming the first element that is NaN or infinite.
template <typename T>
void require_finite(const Array<T>& a, const std::string& name) {
  const std::span<const T> values = elements(a);
  std::size_t i = 0;
  without_gil(a.size(), [&] {
    while (i < values.size() && std::isfinite(values[i])) ++i;
  });
  if (i < values.size())
    throw ConfigError(element_name(name, a, i), number(static_cast<double>(values[i])), "must be finite");
}

/// A one-dimensional argument as a vector.
template <typename T>
std::vector<T> vector_of(const ArrayLike& values, const std::string& name) {
  const Array<T> a = row_major<T>(values, name);
  require_shape(a, name, {-1});
  return {a.data(), a.data() + a.size()};
}

/// A new one-dimensional array.
template <typename T>
Array<T> array_of(std::span<const T> values) {
  return Array<T>(static_cast<pybind11::ssize_t>(values.size()), values.data());
}

/// The first `num_joints` elements of a fixed-capacity array, as a new one.
template <std::size_t N>
Array<double> first_joints(const std::array<double, N>& values, int num_joints) {
  return array_of<double>({values.data(), static_cast<std::size_t>(num_joints)});
}

}  // namespace vla_rt::bindings

namespace pybind11::detail {
template <>
struct handle_type_name<vla_rt::bindings::ArrayLike> {
  static constexpr auto name = const_name("numpy.typing.ArrayLike");
};
}  // namespace pybind11::detail
