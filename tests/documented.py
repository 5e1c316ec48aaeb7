"""The code blocks of README and docs: where they are, what they are for, whether tests run them.

A block that no test runs says so, for readers too, in the paragraph after it: "*Not run by the tests: ...*"
or "*Run by `make prove`...*".
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
)
NOT_RUN, BY_PROVE = "*Not run by the tests: ", "*Run by `make prove`"
_BLOCK = re.compile(r"^```(?P<head>[^\n`]*)\n(?P<code>.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@dataclass(frozen=True)
class Block:
    """One block: its page, language, the `title` of its first line, its text, and the paragraph after it."""

    page: str
    number: int
    language: str
    title: str | None
    code: str
    after: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.number}"

    @property
    def is_run_here(self) -> bool:
        return not self.after.startswith((NOT_RUN, BY_PROVE))


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(ROOT).as_posix()
        for number, match in enumerate(_BLOCK.finditer(text)):
            language, _, rest = match["head"].strip().partition(" ")
            title = re.search(r'title="([^"]+)"', rest)
            after = re.sub(r"^<!--.*?-->\s*", "", text[match.end() :].lstrip()[:200])
            found.append(Block(name, number, language, title[1] if title else None, match["code"], after))
    return found


@dataclass(frozen=True)
class Command:
    """A line that begins with `$ `, and the output that is shown below it."""

    line: str
    shown: tuple[str, ...]


def commands(console: str) -> list[Command]:
    found: list[Command] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            found.append(Command(line.removeprefix("$ "), ()))
        elif found and found[-1].line.endswith("\\"):
            found[-1] = Command(found[-1].line + "\n" + line, ())
        else:
            found[-1] = Command(found[-1].line, (*found[-1].shown, line))
    return found


def run_console(
    console: str,
    folder: Path,
    programs: Sequence[Path] = (Path(sys.executable).parent,),
    timeout_s: float = 240.0,
) -> None:
    """Runs the commands of a console block in one shell; what they print must hold what is shown.

    Numbers may differ. A command must succeed unless what is shown of it is an error of `vla-rt`. What it
    left in the background is ended. `programs` are folders that come first when a program is looked for.
    """
    steps = commands(console)
    between = "--8<-- next"
    script = "".join(f'{step.line}\necho "{between} $?"\n' for step in steps)
    path = os.pathsep.join([*map(str, programs), os.environ.get("PATH", "")])
    shell = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = shell.communicate(timeout=timeout_s)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
    parts = re.split(rf"^{re.escape(between)} (\d+)\n", printed, flags=re.MULTILINE)
    for step, output, code in zip(steps, parts[::2], parts[1::2], strict=False):
        fails = any(re.match(r"vla-rt \w+: ", line) for line in step.shown)
        assert (code != "0") == fails, f"{step.line}: ended with {code}\n{output}"
        got = iter(_worn(line) for line in output.splitlines())
        for line in step.shown:
            assert any(_worn(line) in other for other in got), f"{step.line}\nprinted\n{output}\nnot\n{line}"
    assert len(parts) == 2 * len(steps) + 1, printed


def _worn(line: str) -> str:
    return " ".join(_NUMBER.sub("#", line).split())
