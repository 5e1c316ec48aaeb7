#include <pybind11/pybind11.h>
#include <utility>

#include "bindings/bindings.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/core/status.hpp"
#include "vla_rt/core/time.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {
namespace {

// The Python error classes live for the whole process, as modules do.
struct ErrorTypes {
  py::object base, config, model, format, realtime;
};
ErrorTypes& error_types() {
  static auto* types = new ErrorTypes();  // never destroyed: translators may run during interpreter shutdown
  return *types;
}

py::object make_error(py::module_& m, const char* name, const py::tuple& bases, const char* doc) {
  py::dict namespace_;
  namespace_["__module__"] = "vla_rt";
  namespace_["__doc__"] = doc;
  namespace_["name"] = "";
  namespace_["value"] = "";
  namespace_["bound"] = "";
  py::object type =
      py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(&PyType_Type))(name, bases, namespace_);
  m.attr(name) = type;
  return type;
}

// What a file holds may not be UTF-8; an error about it must be.
py::object text(const std::string& bytes) {
  return py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "backslashreplace"));
}

void raise(const py::object& type, const VlaRtError& error) {
  const py::object instance = type(text(error.what()));
  instance.attr("name") = text(error.name());
  instance.attr("value") = text(error.value());
  instance.attr("bound") = text(error.bound());
  PyErr_SetObject(type.ptr(), instance.ptr());
}

void bind_errors(py::module_& m) {
  ErrorTypes& types = error_types();
  const py::object exception = py::reinterpret_borrow<py::object>(PyExc_Exception);
  const py::object value_error = py::reinterpret_borrow<py::object>(PyExc_ValueError);
  types.base =
      make_error(m, "VlaRtError", py::make_tuple(exception),
                 "Base of every error of vla_rt: `name` is the offending field, `value` what it had, `bound` "
                 "what it broke.");
  types.config = make_error(m, "ConfigError", py::make_tuple(types.base, value_error),
                            "A parameter, shape or input is wrong.");
  types.model =
      make_error(m, "ModelError", py::make_tuple(types.base), "A model could not be built, exported or run.");
  types.format = make_error(m, "FormatError", py::make_tuple(types.base),
                            "A file does not hold what its format promises.");
  types.realtime = make_error(m, "RealtimeError", py::make_tuple(types.base),
                              "A real-time privilege that was enforced could not be had.");
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(std::move(p));
    } catch (const ConfigError& e) {
      raise(error_types().config, e);
    } catch (const ModelError& e) {
      raise(error_types().model, e);
    } catch (const FormatError& e) {
      raise(error_types().format, e);
    } catch (const RealtimeError& e) {
      raise(error_types().realtime, e);
    } catch (const VlaRtError& e) {
      raise(error_types().base, e);
    }
  });
}

}  // namespace

void bind_core(py::module_& m) {
  bind_errors(m);
  m.attr("MAX_ACTION_DIM") = kMaxActionDim;
  m.attr("MAX_HORIZON") = kMaxHorizon;
  py::enum_<Status>(m, "Status", "What a tick has to say; the worst of several is the larger one.")
      .value("Ok", Status::Ok)
      .value("Limited", Status::Limited)
      .value("Starved", Status::Starved)
      .value("Stale", Status::Stale)
      .value("NonFinite", Status::NonFinite)
      .value("Fault", Status::Fault)
      .def("__str__", [](Status status) { return to_string(status); }, py::prepend());
  m.def("steady_now_ns", &steady_now, "Nanoseconds of the steady clock (CLOCK_MONOTONIC).");
}

}  // namespace vla_rt::bindings
