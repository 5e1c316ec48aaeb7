#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/tokenization/fast_tokenizer.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

// Lists of ids nested as deeply as the leading dimensions of the chunks.
py::list nested(const std::vector<std::vector<std::int32_t>>& ids, const py::array& chunks, py::ssize_t axis,
                std::size_t& next) {
  if (axis == chunks.ndim() - 2) {
    const std::vector<std::int32_t>& own = ids[next++];
    py::list out(own.size());
    for (std::size_t i = 0; i < own.size(); ++i)
      PyList_SET_ITEM(out.ptr(), static_cast<py::ssize_t>(i), PyLong_FromLong(own[i]));
    return out;
  }
  py::list out;
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
  if (const auto known = t.config().action_dim; known && dim != *known)
    throw ConfigError("actions", "shape " + shape_text(in),
                      "must have action_dim = " + std::to_string(*known) + " columns");
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
  if (PyLong_CheckExact(item)) {
    int overflow = 0;
    const std::int64_t id = PyLong_AsLongLongAndOverflow(item, &overflow);
    return overflow == 0 ? id : -1;  // refused as no id of the vocabulary
  }
  const auto whole = py::reinterpret_steal<py::object>(PyNumber_Index(item));
  if (!whole) {
    PyErr_Clear();
    throw ConfigError(indexed(name, static_cast<long>(index)), py::repr(item).cast<std::string>(),
                      "must be an integer id");
  }
  return id_of(whole.ptr(), name, index);
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

}  // namespace

void bind_fast_tokenizer(py::module_& m) {
  py::class_<FastTokenizer>(m, "FastTokenizer",
                            "FAST: a chunk of actions as the byte-pair codes of its rounded frequencies.\n\n"
                            "DCT-II along time, round(scale*coefficient), one character each, byte-level "
                            "BPE. Actions should be normalised to\n"
                            "[-1, 1]. Ids equal those of the public processor (physical-intelligence/fast) "
                            "with the same tokenizer.json.")
      .def(py::init(&make_fast), py::arg("tokenizer_json"), py::arg("scale") = 10.0, py::arg("min_token") = 0,
           py::arg("vocab_size") = 0, py::arg("horizon") = py::none(), py::arg("action_dim") = py::none(),
           py::call_guard<py::gil_scoped_release>(),
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
            const auto values = elements(in);
            const auto rows = static_cast<int>(in.shape(0));
            std::vector<std::int32_t> quantized;
            {
              const py::gil_scoped_release release;
              quantized = plain.quantize(values, rows);
            }
            return array_of<std::int32_t>(quantized);
          },
          py::arg("actions"), py::arg("scale") = 10.0,
          "round(scale*DCT) of a chunk (T, D), flattened: (T*D,) int32.")
      .def("encode", &fast_encode, py::arg("actions"),
           "Chunks (..., T, D) to lists of ids, nested as the leading dimensions: one list for (T, D).\n\n"
           "Raises ConfigError for NaN or infinity, another D than the files', and where a coefficient's "
           "bytes "
           "are\nmissing from the vocabulary.")
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
            std::vector<std::int64_t> values;
            {
              const py::gil_scoped_release release;
              values = t.coefficients(tokens, horizon, action_dim, strict);
            }
            Array<std::int64_t> out({horizon, action_dim});
            std::copy(values.begin(), values.end(), out.mutable_data());
            return out;
          },
          py::arg("tokens"), py::arg("horizon"), py::arg("action_dim"), py::arg("strict") = true,
          "The quantised coefficients (horizon, action_dim) that one list of ids spells, int64.")
      .def(
          "encode_text",
          [](const FastTokenizer& t, const std::u32string& text) {
            const py::gil_scoped_release release;
            const std::vector<std::int32_t> code_points(text.begin(), text.end());
            std::vector<std::int32_t> ids;
            t.encoder().encode(code_points, ids);
            return ids;
          },
          py::arg("text"), "The byte-pair encoder alone: ids of a text.")
      .def(
          "pieces",
          [](const FastTokenizer& t, const std::u32string& text) {
            const py::gil_scoped_release release;
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
          py::call_guard<py::gil_scoped_release>(), "Text of tokenizer.json.")
      .def(py::pickle(
          [](const FastTokenizer& t) {
            const FastTokenizer::Config& c = t.config();
            return py::make_tuple(t.encoder().to_json(), c.scale, c.min_token, c.vocab_size, c.horizon,
                                  c.action_dim);
          },
          [](const py::tuple& state) {
            return make_fast(state[0].cast<std::string>(), state[1].cast<double>(),
                             state[2].cast<std::int64_t>(), state[3].cast<std::int64_t>(),
                             state[4].cast<std::optional<std::int32_t>>(),
                             state[5].cast<std::optional<std::int32_t>>());
          }))
      .def_property_readonly("scale", [](const FastTokenizer& t) { return t.config().scale; })
      .def_property_readonly("min_token", [](const FastTokenizer& t) { return t.config().min_token; })
      .def_property_readonly("vocab_size", [](const FastTokenizer& t) { return t.config().vocab_size; })
      .def_property_readonly(
          "num_ids", [](const FastTokenizer& t) { return t.encoder().vocab_size(); },
          "Ids are below this; some may be unused.")
      .def_property_readonly(
          "horizon", [](const FastTokenizer& t) { return t.config().horizon; }, "T, or None.")
      .def_property_readonly(
          "action_dim", [](const FastTokenizer& t) { return t.config().action_dim; }, "D, or None.");
}

}  // namespace vla_rt::bindings
