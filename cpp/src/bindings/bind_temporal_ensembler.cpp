#include <pybind11/pybind11.h>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "vla_rt/execution/temporal_ensembler.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {

void bind_temporal_ensembler(py::module_& m) {
  py::class_<TemporalEnsembler>(m, "TemporalEnsembler",
                                R"(ACT's temporal ensembling, one chunk per control step.

The action is the mean of all predictions made for this step, weighted exp(-coeff * i) with i = 0 the oldest. For chunks
that come late or not every step use ChunkExecutor(mode="ensemble").

Args:
    horizon: T, rows of a chunk.
    action_dim: D.
    coeff: positive trusts old predictions more, negative new ones; >= -2.

Raises:
    ConfigError: a value is out of its range.)")
      .def(py::init<int, int, double>(), py::arg("horizon"), py::arg("action_dim"), py::arg("coeff") = 0.01)
      .def(
          "update",
          [](TemporalEnsembler& self, const ArrayLike& chunk) {
            const Array<double> in = row_major<double>(chunk, "chunk");
            require_shape(in, "chunk", {self.horizon(), self.action_dim()});
            Array<double> action(self.action_dim());
            self.update(elements(in), mutable_elements(action));
            return action;
          },
          py::arg("chunk"),
          R"(Takes the chunk (T, D) whose row 0 is for this step; returns this step's action (D,).

Raises:
    ConfigError: wrong shape, or a number that is not finite; nothing changes.)")
      .def("reset", &TemporalEnsembler::reset, "Forgets all chunks.")
      .def_property_readonly("horizon", &TemporalEnsembler::horizon, "T.")
      .def_property_readonly("action_dim", &TemporalEnsembler::action_dim, "D.")
      .def_property_readonly("coeff", &TemporalEnsembler::coeff, "m of the weights exp(-m i).");
}

}  // namespace vla_rt::bindings
