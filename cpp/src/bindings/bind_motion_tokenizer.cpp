#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/tokens.hpp"
#include "vla_rt/tokenization/motion_tokenizer.hpp"

namespace py = pybind11;

namespace vla_rt::bindings {

void bind_motion_tokenizer(py::module_& m) {
  py::class_<MotionTokenizer>(
      m, "MotionTokenizer",
      "A vocabulary of 256 small motions for actions [dx, dy, dz, droll, dpitch, dyaw, gripper].\n\n"
      "Tokens 0..127 are steps along one axis (+-0.5 to 50 mm, log-spaced; 126 and 127: none), 128..191 "
      "turns about one\n"
      "axis (+-2 to 100 mrad; 188..191: none), 192..255 gripper levels (254 open = 0, 255 closed = 1).")
      .def(py::init<>())
      .def(py::pickle([](const MotionTokenizer&) { return py::make_tuple(); },
                      [](const py::tuple&) { return MotionTokenizer(); }))
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
            const auto from = elements(in);
            const auto to = mutable_elements(out);
            const auto kept = elements(held);
            without_gil((in.size() + out.size()) * 4, [&] {
              for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r)
                t.decode(from.subspan(r * n, n), to.subspan(r * 7, 7), kept[kept.size() == 1 ? 0 : r]);
            });
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

}  // namespace vla_rt::bindings
