#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/tokenization/fast_tokenizer.hpp"
#include "vla_rt/tokenization/motion_tokenizer.hpp"
#include "vla_rt/tokenization/openvla_tokenizer.hpp"
#include "vla_rt/tokenization/quantile_tokenizer.hpp"
#include "vla_rt/tokenization/rt1_tokenizer.hpp"
#include "vla_rt/tokenization/uniform_tokenizer.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

using Ids = Array<std::int64_t>;

void require_range(const Ids& tokens, std::int64_t lowest, std::int64_t highest) {
  const auto values = elements(tokens);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] < lowest || values[i] > highest)
      throw ConfigError(element_name("tokens", tokens, i), std::to_string(values[i]),
                        "must be in " + std::to_string(lowest) + ".." + std::to_string(highest));
}

// Bounds: one number for any shape, or one per dimension.
std::vector<double> bounds(const ArrayLike& values, const char* name) {
  const Array<double> a = row_major<double>(values, name);
  if (a.ndim() > 1) throw ConfigError(name, "shape " + shape_text(a), "must be a number or have shape (D,)");
  return {a.data(), a.data() + a.size()};
}

Array<double> checked_actions(const ArrayLike& actions, int dim) {
  Array<double> in = row_major<double>(actions, "actions");
  if (dim > 1) require_last(in, "actions", {dim});
  require_finite(in, "actions");
  return in;
}

Ids encode(const Tokenizer& t, const ArrayLike& actions) {
  const Array<double> in = checked_actions(actions, t.action_dim());
  const bool same = t.action_dim() == t.tokens_per_action();
  Ids out = same ? empty_like<std::int64_t>(in) : with_last<std::int64_t>(in, 1, {t.tokens_per_action()});
  const auto from = elements(in);
  const auto to = mutable_elements(out);
  without_gil(in.size(), [&] { t.encode(from, to); });
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
  without_gil(in.size(), [&] { t.decode(from, to); });
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
             return std::make_unique<QuantileTokenizer>(elements(in), static_cast<int>(in.shape(0)));
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

void bind_motion(py::module_& m) {
  py::class_<MotionTokenizer>(
      m, "MotionTokenizer",
      "A vocabulary of 256 small motions for actions [dx, dy, dz, droll, dpitch, dyaw, gripper].\n\n"
      "Tokens 0..127 are steps along one axis (+-0.5 to 50 mm, log-spaced; 126 and 127: none), 128..191 "
      "turns about one\n"
      "axis (+-2 to 100 mrad; 188..191: none), 192..255 gripper levels (254 open = 0, 255 closed = 1).")
      .def(py::init<>())
      .def(
          "encode",
          [](const MotionTokenizer& t, const ArrayLike& actions, bool per_axis) {
            const Array<double> in = checked_actions(actions, MotionTokenizer::kActionDim);
            Ids out = with_last<std::int64_t>(in, 1, {per_axis ? 7 : 3});
            const auto from = elements(in);
            const auto to = mutable_elements(out);
            without_gil(in.size() * 100, [&] { t.encode(from, to, per_axis); });
            return out;
          },
          py::arg("actions"), py::arg("per_axis") = false,
          "Actions (..., 7) to tokens (..., 3): per group (position, rotation, gripper) the token nearest to "
          "the action.\n"
          "With per_axis, (..., 7): the nearest of each axis, then the gripper's.")
      .def(
          "decode",
          [](const MotionTokenizer& t, const ArrayLike& tokens, const ArrayLike& gripper) {
            const Ids in = row_major<std::int64_t>(tokens, "tokens");
            if (in.ndim() < 1)
              throw ConfigError("tokens", "shape " + shape_text(in), "must have shape (..., n)");
            require_range(in, 0, MotionTokenizer::kVocabSize - 1);
            const Array<double> held = row_major<double>(gripper, "gripper");
            require_finite(held, "gripper");
            Array<double> out = with_last<double>(in, 1, {7});
            const py::ssize_t rows = out.size() / 7;
            if (held.size() != 1 && held.size() != rows)
              throw ConfigError("gripper", "shape " + shape_text(held),
                                "must be one number, or one per sequence");
            const auto n = static_cast<std::size_t>(in.shape(in.ndim() - 1));
            for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r)
              t.decode(elements(in).subspan(r * n, n), mutable_elements(out).subspan(r * 7, 7),
                       elements(held)[held.size() == 1 ? 0 : r]);
            return out;
          },
          py::arg("tokens"), py::arg("gripper") = 0.0,
          "Sequences of tokens (..., n) to one action (..., 7) each: translations and rotations add up, the "
          "last gripper\n"
          "token counts, and without one the gripper holds the value given (a number, or one per sequence).")
      .def_property_readonly(
          "motions",
          [](const MotionTokenizer& t) {
            Array<double> out({256, 7});
            for (int token = 0; token < 256; ++token)
              std::copy(t.motion(token).begin(), t.motion(token).end(), out.mutable_data(token, 0));
            return out;
          },
          "(256, 7): what each token does; the numbers of the other groups are 0.");
}

// Lists of ids nested as deeply as the leading dimensions of the chunks.
py::list nested(const std::vector<std::vector<std::int32_t>>& ids, const py::array& chunks, py::ssize_t axis,
                std::size_t& next) {
  py::list out;
  if (axis == chunks.ndim() - 2) {
    for (const std::int32_t id : ids[next]) out.append(id);
    ++next;
    return out;
  }
  for (py::ssize_t i = 0; i < chunks.shape(axis); ++i) out.append(nested(ids, chunks, axis + 1, next));
  return out;
}

py::list fast_encode(const FastTokenizer& t, const ArrayLike& actions) {
  const Array<double> in = row_major<double>(actions, "actions");
  if (in.ndim() < 2) throw ConfigError("actions", "shape " + shape_text(in), "must have shape (..., T, D)");
  const py::ssize_t rows = in.shape(in.ndim() - 2), dim = in.shape(in.ndim() - 1);
  if (rows < 1 || dim < 1)
    throw ConfigError("actions", "shape " + shape_text(in), "must have at least one row and one dimension");
  if (rows > CosineTransform::kMaxHorizon)
    throw ConfigError("actions", "shape " + shape_text(in), "must have at most 1024 rows");
  require_finite(in, "actions");
  const auto size = static_cast<std::size_t>(rows * dim);
  const auto values = elements(in);
  std::vector<std::vector<std::int32_t>> ids(values.size() / size);
  {
    const py::gil_scoped_release release;
    for (std::size_t c = 0; c < ids.size(); ++c)
      ids[c] = t.encode(values.subspan(c * size, size), static_cast<int>(rows));
  }
  std::size_t next = 0;
  return nested(ids, in, 0, next);
}

struct IdLists {
  std::vector<std::vector<std::int64_t>> ids;
  std::vector<py::ssize_t> leading;
};

std::int64_t id_of(PyObject* item, const std::string& name, std::size_t index) {
  const auto whole = py::reinterpret_steal<py::object>(PyNumber_Index(item));
  if (!whole) {
    PyErr_Clear();
    throw ConfigError(indexed(name, static_cast<long>(index)), py::repr(item).cast<std::string>(),
                      "must be an integer id");
  }
  int overflow = 0;
  const std::int64_t id = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
  return overflow == 0 ? id : -1;  // refused as no id of the vocabulary
}

bool is_sequence(const py::handle& item) {
  return py::isinstance<py::list>(item) || py::isinstance<py::tuple>(item) || py::isinstance<py::array>(item);
}

void collect(const py::handle& tokens, std::size_t depth, const std::string& name, IdLists& out) {
  const auto items = py::reinterpret_steal<py::object>(
      PySequence_Fast(tokens.ptr(), "tokens must be a list of ids or lists"));
  if (!items) throw py::error_already_set();
  const auto n = static_cast<std::size_t>(PySequence_Fast_GET_SIZE(items.ptr()));
  PyObject** const item = PySequence_Fast_ITEMS(items.ptr());
  if (n == 0 || !is_sequence(item[0])) {
    if (out.leading.size() != depth) throw ConfigError(name, "", "must be nested evenly");
    std::vector<std::int64_t> ids(n);
    for (std::size_t i = 0; i < n; ++i) ids[i] = id_of(item[i], name, i);
    out.ids.push_back(std::move(ids));
    return;
  }
  const bool first = out.ids.empty() && out.leading.size() == depth;
  if (first) out.leading.push_back(static_cast<py::ssize_t>(n));
  if (depth > 16 || out.leading.size() <= depth || out.leading[depth] != static_cast<py::ssize_t>(n))
    throw ConfigError(name, std::to_string(n) + " lists", "must be nested evenly");
  for (std::size_t i = 0; i < n; ++i) {
    const std::string inner = indexed(name, static_cast<long>(i));
    if (!is_sequence(item[i]))
      throw ConfigError(inner, py::repr(item[i]).cast<std::string>(), "must be a list of ids");
    collect(item[i], depth + 1, inner, out);
  }
}

Array<double> fast_decode(const FastTokenizer& t, const py::object& tokens, const std::optional<int>& horizon,
                          const std::optional<int>& action_dim, bool strict) {
  const auto given = [](const std::optional<int>& value, const std::optional<std::int32_t>& stored,
                        const char* name) {
    if (value) return *value;
    if (stored) return static_cast<int>(*stored);
    throw ConfigError(name, "None", "the tokenizer's files hold none; pass it");
  };
  const int rows = given(horizon, t.config().horizon, "horizon");
  const int dim = given(action_dim, t.config().action_dim, "action_dim");
  if (!is_sequence(tokens))
    throw ConfigError("tokens", py::str(py::type::of(tokens).attr("__name__")).cast<std::string>(),
                      "must be a list of ids, or nested lists of them");
  if (rows < 1 || rows > CosineTransform::kMaxHorizon)
    throw ConfigError("horizon", std::to_string(rows), "must be in 1..1024");
  if (dim < 1 || dim > 4096) throw ConfigError("action_dim", std::to_string(dim), "must be in 1..4096");
  IdLists all;
  collect(tokens, 0, "tokens", all);
  std::vector<py::ssize_t> shape = all.leading;
  shape.insert(shape.end(), {rows, dim});
  Array<double> out(shape);
  const auto to = mutable_elements(out);
  const auto size = static_cast<std::size_t>(rows) * static_cast<std::size_t>(dim);
  {
    const py::gil_scoped_release release;
    for (std::size_t c = 0; c < all.ids.size(); ++c)
      t.decode(all.ids[c], rows, dim, strict, to.subspan(c * size, size));
  }
  return out;
}

FastTokenizer make_fast(const std::string& tokenizer_json, double scale, std::int64_t min_token,
                        std::int64_t vocab_size, const std::optional<std::int32_t>& horizon,
                        const std::optional<std::int32_t>& action_dim) {
  FastTokenizer::Config config;
  config.scale = scale;
  config.min_token = min_token;
  config.vocab_size = vocab_size;
  config.horizon = horizon;
  config.action_dim = action_dim;
  return {BytePairEncoder::from_json(tokenizer_json), config};
}

void bind_fast(py::module_& m) {
  py::class_<FastTokenizer>(m, "FastTokenizer",
                            "FAST: a chunk of actions as the byte-pair codes of its rounded frequencies.\n\n"
                            "DCT-II along time, round(scale*coefficient), one character each, byte-level "
                            "BPE. Actions should be normalised to\n"
                            "[-1, 1]. Ids equal those of the public processor (physical-intelligence/fast) "
                            "with the same tokenizer.json.")
      .def(py::init(&make_fast), py::arg("tokenizer_json"), py::arg("scale") = 10.0, py::arg("min_token") = 0,
           py::arg("vocab_size") = 0, py::arg("horizon") = py::none(), py::arg("action_dim") = py::none(),
           "From the text of a tokenizer.json and the fields of processor_config.json. Raises FormatError, "
           "ConfigError.")
      .def_static(
          "load", [](const std::filesystem::path& dir) { return FastTokenizer::load(dir.string()); },
          py::arg("dir"), py::call_guard<py::gil_scoped_release>(),
          "Reads processor_config.json and tokenizer.json from a folder. Raises FormatError naming "
          "file and field.")
      .def(
          "save", [](const FastTokenizer& t, const std::filesystem::path& dir) { t.save(dir.string()); },
          py::arg("dir"), py::call_guard<py::gil_scoped_release>(),
          "Writes processor_config.json and tokenizer.json; makes the folder.")
      .def_static(
          "fit",
          [](const py::object& chunks, std::int64_t vocab_size, double scale) {
            return py::module_::import("vla_rt._fast_fit")
                .attr("fit")(chunks, vocab_size, scale)
                .cast<FastTokenizer>();
          },
          py::arg("chunks"), py::arg("vocab_size") = 1024, py::arg("scale") = 10.0,
          "Learns the merges from normalised chunks (n, T, D), or a list of (T_i, D), with the `tokenizers` "
          "library.\n\n"
          "Raises ConfigError when vocab_size is below the range of the coefficients, ModelError without "
          "`tokenizers`.")
      .def_static(
          "quantize",
          [](const ArrayLike& actions, double scale) {
            const Array<double> in = row_major<double>(actions, "actions");
            require_shape(in, "actions", {-1, -1});
            require_finite(in, "actions");
            FastTokenizer::Config config;
            config.scale = scale;
            const FastTokenizer plain(BytePairEncoder(), config);
            return array_of<std::int32_t>(plain.quantize(elements(in), static_cast<int>(in.shape(0))));
          },
          py::arg("actions"), py::arg("scale") = 10.0,
          "round(scale*DCT) of a chunk (T, D), flattened: (T*D,) int32.")
      .def("encode", &fast_encode, py::arg("actions"),
           "Chunks (..., T, D) to lists of ids, nested as the leading dimensions: one list for (T, D).\n\n"
           "Raises ConfigError for NaN or infinity, and where a coefficient's bytes are missing from the "
           "vocabulary.")
      .def("decode", &fast_decode, py::arg("tokens"), py::arg("horizon") = py::none(),
           py::arg("action_dim") = py::none(), py::arg("strict") = true,
           "Ids, or lists of them, to chunks (..., horizon, action_dim).\n\n"
           "Args:\n"
           "    tokens: a list of ids, or nested lists.\n"
           "    horizon, action_dim: None takes those of the files, where they are known.\n"
           "    strict: ids that spell broken characters or another number of coefficients raise "
           "ConfigError; else\n"
           "        broken bytes are left out, missing coefficients are 0 and surplus ones are cut off.")
      .def(
          "coefficients",
          [](const FastTokenizer& t, const std::vector<std::int64_t>& tokens, int horizon, int action_dim,
             bool strict) {
            const auto values = t.coefficients(tokens, horizon, action_dim, strict);
            Array<std::int64_t> out({horizon, action_dim});
            std::copy(values.begin(), values.end(), out.mutable_data());
            return out;
          },
          py::arg("tokens"), py::arg("horizon"), py::arg("action_dim"), py::arg("strict") = true,
          "The quantised coefficients (horizon, action_dim) that one list of ids spells, int64.")
      .def(
          "encode_text",
          [](const FastTokenizer& t, const std::u32string& text) {
            const std::vector<std::int32_t> code_points(text.begin(), text.end());
            std::vector<std::int32_t> ids;
            t.encoder().encode(code_points, ids);
            return ids;
          },
          py::arg("text"), "The byte-pair encoder alone: ids of a text.")
      .def(
          "pieces",
          [](const FastTokenizer& t, const std::u32string& text) {
            const std::vector<std::int32_t> code_points(text.begin(), text.end());
            std::vector<std::u32string> pieces;
            std::size_t from = 0;
            for (const std::size_t length : t.encoder().pieces(code_points)) {
              pieces.push_back(text.substr(from, length));
              from += length;
            }
            return pieces;
          },
          py::arg("text"), "The pieces that the encoder cuts a text into before it merges.")
      .def(
          "tokenizer_json", [](const FastTokenizer& t) { return t.encoder().to_json(); },
          "Text of tokenizer.json.")
      .def_property_readonly("scale", [](const FastTokenizer& t) { return t.config().scale; })
      .def_property_readonly("min_token", [](const FastTokenizer& t) { return t.config().min_token; })
      .def_property_readonly("vocab_size", [](const FastTokenizer& t) { return t.config().vocab_size; })
      .def_property_readonly(
          "horizon", [](const FastTokenizer& t) { return t.config().horizon; }, "T, or None.")
      .def_property_readonly(
          "action_dim", [](const FastTokenizer& t) { return t.config().action_dim; }, "D, or None.");
}

}  // namespace

void bind_tokenization(py::module_& m) {
  bind_tokenizer(m);
  bind_binning(m);
  bind_motion(m);
  bind_fast(m);
}

}  // namespace vla_rt::bindings
