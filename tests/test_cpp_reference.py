"""What the C++ reference takes from a header: what is public, with its comments, without bodies."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
import cpp_reference

HEADER = """#pragma once
namespace vla_rt {

class Mentioned;

/// Counts, up to `n` <= 3 { unbalanced. Real-time: yes.
class VLA_RT_API Counter : public Base {
 public:
  /// Adds.
  void add(int n) noexcept {
    if (n > 0) {
      total_ += n;  // "}"
    }
  }
  [[nodiscard]] int total() const noexcept { return total_; }
  Counter(const Counter&) = delete;

 private:
  struct Impl;
  int total_ = 0;
};

/// Of one.
template <class T>
[[nodiscard]] VLA_RT_API T one();
inline constexpr int kMany = 7;  ///< more than a few

}  // namespace vla_rt
"""


def test_a_header_is_shown_without_what_is_private() -> None:
    counter, one, many = cpp_reference.declarations(HEADER)
    assert (counter.name, counter.is_type) == ("Counter", True)
    assert counter.comment == "Counts, up to `n` <= 3 { unbalanced. Real-time: yes."
    assert counter.code.splitlines() == [
        "class Counter : public Base {",
        " public:",
        "  /// Adds.",
        "  void add(int n) noexcept;",
        "  [[nodiscard]] int total() const noexcept { return total_; }",
        "};",
    ]
    assert (one.name, one.comment) == ("one", "Of one.")
    assert (many.name, many.comment) == ("kMany", "more than a few")


def test_a_type_without_any_comment_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "vla_rt" / "core"
    room.mkdir(parents=True)
    (room / "x.hpp").write_text("namespace vla_rt {\nstruct Silent {\n  int x;\n};\n}  // namespace vla_rt\n")
    monkeypatch.setattr(cpp_reference, "HEADERS", tmp_path / "vla_rt")
    with pytest.raises(ValueError, match="Silent has no comment"):
        cpp_reference.page("core")


def test_every_room_of_the_headers_has_a_page() -> None:
    assert {folder.name for folder in cpp_reference.HEADERS.iterdir() if folder.is_dir()} == set(
        cpp_reference.ROOMS
    )
    assert "VLA_RT_API" not in "".join(map(cpp_reference.page, cpp_reference.ROOMS))
