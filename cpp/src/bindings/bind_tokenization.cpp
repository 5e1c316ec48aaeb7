#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/tokens.hpp"
#include "vla_rt/tokenization/openvla_tokenizer.hpp"
#include "vla_rt/tokenization/quantile_tokenizer.hpp"
#include "vla_rt/tokenization/rt1_tokenizer.hpp"
#include "vla_rt/tokenization/uniform_tokenizer.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

// Bounds: one number for any shape, or one per dimension.
std::vector<double> bounds(const ArrayLike& values, const char* name) {
  const Array<double> a = row_major<double>(values, name);
  if (a.ndim() > 1) throw ConfigError(name, "shape " + shape_text(a), "must be a number or have shape (D,)");
  return {a.data(), a.data() + a.size()};
}

// A pickled array.
std::vector<double> stored(const py::handle& values) {
  return vector_of<double>(py::reinterpret_borrow<ArrayLike>(values), "state");
}

Ids encode(const Tokenizer& t, const ArrayLike& actions) {
  const Array<double> in = checked_actions(actions, t.action_dim());
  const bool same = t.action_dim() == t.tokens_per_action();
  Ids out = same ? empty_like<std::int64_t>(in) : with_last<std::int64_t>(in, 1, {t.tokens_per_action()});
  const auto from = elements(in);
  const auto to = mutable_elements(out);
  without_gil(in.size() * 16, [&] { t.encode(from, to); });
  return out;
}

Array<double> decode(const Tokenizer& t, const ArrayLike& tokens) {
  const Ids in = row_major<std::int64_t>(tokens, "tokens");
  if (t.tokens_per_action() > 1) require_last(in, "tokens", {t.tokens_per_action()});
  require_range(in, t.min_token(), t.max_token());
  const bool same = t.action_dim() == t.tokens_per_action();
  Array<double> out = same ? empty_like<double>(in) : with_last<double>(in, 1, {t.action_dim()});
  const auto from = elements(in);
  const auto to = mutable_elements(out);
  without_gil(in.size() * 4, [&] { t.decode(from, to); });
  return out;
}

void bind_tokenizer(py::module_& m) {
  py::class_<Tokenizer>(
      m, "Tokenizer",
      "Turns actions into a fixed number of tokens each, and back. Immutable.\n\n"
      "Errors are ConfigErrors naming the element: NaN, infinity, an id outside the vocabulary, or a "
      "shape that does not fit.")
      .def("encode", &encode, py::arg("actions"),
           "Actions (..., D) to tokens (..., n), int64; n = D unless said.")
      .def("decode", &decode, py::arg("tokens"), "Tokens (..., n) to actions (..., D), float64.")
      .def_property_readonly("action_dim", &Tokenizer::action_dim, "D; 1 where any shape is accepted.")
      .def_property_readonly("tokens_per_action", &Tokenizer::tokens_per_action, "n.")
      .def_property_readonly("min_token", &Tokenizer::min_token, "Lowest id.")
      .def_property_readonly("max_token", &Tokenizer::max_token, "Highest id.");
}

void bind_binning(py::module_& m) {
  py::class_<UniformTokenizer, Tokenizer>(m, "UniformTokenizer",
                                          "Equal bins between two bounds; decoded to the middle of the bin, "
                                          "so that the error is at most half a bin.")
      .def(py::init([](const ArrayLike& low, const ArrayLike& high, std::int64_t num_bins) {
             const std::vector<double> lo = bounds(low, "low"), hi = bounds(high, "high");
             return std::make_unique<UniformTokenizer>(lo, hi, num_bins);
           }),
           py::arg("low"), py::arg("high"), py::arg("num_bins") = 256,
           "Args:\n"
           "    low, high: bounds, (D,) each, or numbers for actions of any shape.\n"
           "    num_bins: ids are 0..num_bins-1.\n\n"
           "Raises ConfigError unless low < high, all finite.")
      .def_property_readonly("num_bins", &UniformTokenizer::num_bins)
      .def(py::pickle(
          [](const UniformTokenizer& t) {
            return py::make_tuple(array_of<double>(t.low()), array_of<double>(t.high()), t.num_bins());
          },
          [](const py::tuple& state) {
            return std::make_unique<UniformTokenizer>(stored(state[0]), stored(state[1]),
                                                      state[2].cast<std::int64_t>());
          }))
      .def_property_readonly(
          "low", [](const UniformTokenizer& t) { return array_of<double>(t.low()); }, "(D,)")
      .def_property_readonly(
          "high", [](const UniformTokenizer& t) { return array_of<double>(t.high()); }, "(D,)");

  py::class_<Rt1Tokenizer, Tokenizer>(m, "RT1Tokenizer",
                                      "RT-1's tokens: (clip(x) - low)/(high - low)*(vocab_size - 1), "
                                      "truncated; decoded to that point of the range.")
      .def(py::init([](const ArrayLike& low, const ArrayLike& high, std::int64_t vocab_size, int one_hot) {
             const std::vector<double> lo = bounds(low, "low"), hi = bounds(high, "high");
             return std::make_unique<Rt1Tokenizer>(lo, hi, vocab_size, one_hot);
           }),
           py::arg("low"), py::arg("high"), py::arg("vocab_size") = 256, py::arg("one_hot") = 0,
           "Args:\n"
           "    low, high: bounds, (D,) each, or numbers for actions of any shape.\n"
           "    vocab_size: ids are 0..vocab_size-1.\n"
           "    one_hot: how many more numbers at the end of an action are a one-hot choice; they become one "
           "token.\n\n"
           "Raises ConfigError unless low < high, all finite.")
      .def_property_readonly("vocab_size", &Rt1Tokenizer::vocab_size)
      .def(py::pickle(
          [](const Rt1Tokenizer& t) {
            return py::make_tuple(array_of<double>(t.low()), array_of<double>(t.high()), t.vocab_size(),
                                  t.one_hot());
          },
          [](const py::tuple& state) {
            return std::make_unique<Rt1Tokenizer>(stored(state[0]), stored(state[1]),
                                                  state[2].cast<std::int64_t>(), state[3].cast<int>());
          }))
      .def_property_readonly("one_hot", &Rt1Tokenizer::one_hot)
      .def_property_readonly(
          "low", [](const Rt1Tokenizer& t) { return array_of<double>(t.low()); }, "(D,)")
      .def_property_readonly(
          "high", [](const Rt1Tokenizer& t) { return array_of<double>(t.high()); }, "(D,)");

  py::class_<OpenVlaTokenizer, Tokenizer>(
      m, "OpenVLATokenizer",
      "OpenVLA's tokens: the last num_bins ids of a vocabulary stand for num_bins - 1 bins of [-1, 1]. Any "
      "shape.\n\n"
      "token = vocab_size - digitize(clip(x), linspace(-1, 1, num_bins)); x = 1 takes the last bin's centre.")
      .def(py::init<std::int64_t, std::int64_t>(), py::arg("vocab_size") = 32000, py::arg("num_bins") = 256,
           "Raises ConfigError unless 2 <= num_bins <= vocab_size.")
      .def_property_readonly("vocab_size", &OpenVlaTokenizer::vocab_size)
      .def(py::pickle([](const OpenVlaTokenizer& t) { return py::make_tuple(t.vocab_size(), t.num_bins()); },
                      [](const py::tuple& state) {
                        return std::make_unique<OpenVlaTokenizer>(state[0].cast<std::int64_t>(),
                                                                  state[1].cast<std::int64_t>());
                      }))
      .def_property_readonly("num_bins", &OpenVlaTokenizer::num_bins)
      .def_property_readonly(
          "edges", [](const OpenVlaTokenizer& t) { return array_of<double>(t.edges()); }, "(num_bins,)")
      .def_property_readonly(
          "centers", [](const OpenVlaTokenizer& t) { return array_of<double>(t.centers()); },
          "(num_bins - 1,)");

  py::class_<QuantileTokenizer, Tokenizer>(
      m, "QuantileTokenizer",
      "Bins that each hold the same share of the data; decoded to the middle of the bin's two edges.")
      .def(py::init([](const ArrayLike& edges) {
             const Array<double> in = row_major<double>(edges, "edges");
             require_shape(in, "edges", {-1, -1});
             if (in.shape(0) < 1)
               throw ConfigError("edges", "shape " + shape_text(in), "must have a row per dimension");
             const auto rows = static_cast<int>(in.shape(0));
             const py::gil_scoped_release release;
             return std::make_unique<QuantileTokenizer>(elements(in), rows);
           }),
           py::arg("edges"), "Edges (D, num_bins + 1), not descending along a row.")
      .def_static(
          "fit",
          [](const ArrayLike& actions, std::int64_t num_bins) {
            const Array<double> in = row_major<double>(actions, "actions");
            if (in.ndim() < 1 || in.size() == 0)
              throw ConfigError("actions", "shape " + shape_text(in),
                                "must have shape (..., D), with at least one action");
            require_finite(in, "actions");
            const auto values = elements(in);
            const auto dim = static_cast<int>(in.shape(in.ndim() - 1));
            const py::gil_scoped_release release;
            return QuantileTokenizer::fit(values, dim, num_bins);
          },
          py::arg("actions"), py::arg("num_bins") = 256,
          "Edges at the quantiles 0, 1/num_bins, ..., 1 of each dimension of actions (..., D), as "
          "numpy.quantile.")
      .def_property_readonly("num_bins", &QuantileTokenizer::num_bins)
      .def(py::pickle(
          [](const QuantileTokenizer& t) {
            return py::make_tuple(array_of<double>(t.edges()), t.action_dim());
          },
          [](const py::tuple& state) {
            return std::make_unique<QuantileTokenizer>(stored(state[0]), state[1].cast<int>());
          }))
      .def_property_readonly(
          "edges",
          [](const QuantileTokenizer& t) {
            Array<double> out(
                {static_cast<py::ssize_t>(t.action_dim()), static_cast<py::ssize_t>(t.num_bins() + 1)});
            std::copy(t.edges().begin(), t.edges().end(), out.mutable_data());
            return out;
          },
          "(D, num_bins + 1)");
}

}  // namespace

void bind_tokenization(py::module_& m) {
  bind_tokenizer(m);
  bind_binning(m);
  bind_motion_tokenizer(m);
  bind_fast_tokenizer(m);
}

}  // namespace vla_rt::bindings
