#include <pybind11/pybind11.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <memory>

#include "bindings/bindings.hpp"
#include "vla_rt/execution/violation_log.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {

void bind_violation_log(py::module_& m) {
  py::class_<ViolationLog>(
      m, "ViolationLog",
      "Keeps every wish that an enforcer could not grant in a file, one JSON object per line.\n\n"
      "A line has joint, cause, wanted, given and time_s, as `EnforcerReport.log`; null stands for a number\n"
      "that is not finite. It is written when a cause begins to act on a joint, not again while it lasts, "
      "by\n"
      "a thread of this object's own: the tick only hands entries over.\n\n"
      "    with vr.ViolationLog(\"violations.jsonl\") as log:\n"
      "        command, report = enforcer.apply(target)\n"
      "        log.take(enforcer)\n\n"
      "Args:\n"
      "    path: The file, made or emptied.\n\n"
      "Raises:\n"
      "    ConfigError: The file cannot be written.\n")
      .def(py::init([](const std::filesystem::path& path) {
             return std::make_unique<ViolationLog>(path.string());
           }),
           py::arg("path"))
      .def(
          "take", [](ViolationLog& log, const ConstraintEnforcer& enforcer) { log.take(enforcer); },
          py::arg("enforcer"),
          "Hands over what the enforcer, always the same one, has logged since the last call. Call it after\n"
          "every tick: an enforcer keeps its newest 256 entries.")
      .def("close", &ViolationLog::close, py::call_guard<py::gil_scoped_release>(),
           "Writes what was handed over and closes the file.")
      .def(
          "__enter__", [](ViolationLog& log) -> ViolationLog& { return log; },
          py::return_value_policy::reference)
      .def("__exit__",
           [](ViolationLog& log, const py::object&, const py::object&, const py::object&) {
             const py::gil_scoped_release release;
             log.close();
           })
      .def_property_readonly("written", &ViolationLog::written, "Lines in the file.")
      .def_property_readonly("dropped", &ViolationLog::dropped,
                             "Entries that came too fast, or that the file refused.");
}

}  // namespace vla_rt::bindings
