"""Run a flight recording again: executor and enforcer on the recorded inputs, compared bit by bit.

Bit-exact for the same build on the same kind of processor. Ends with 1 at a difference, which is named.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from vla_rt import FlightRecording, Kinematics
from vla_rt.cli.result import require_writable, write_json
from vla_rt.errors import ConfigError, error, require

EXIT_DIFFERENT = 1

_TEST = '''"""{name}: executor and enforcer answer what was recorded as they did then, bit by bit.

Made by `vla-rt replay --save-test`. Record anew where a change of the motion is meant.
"""

from pathlib import Path

import vla_rt as vr


def test_{name}_replays() -> None:
    replayed = vr.FlightRecording(Path(__file__).with_name("{name}.flight")).replay()
    assert replayed["difference"] is None
    assert replayed["executor_ticks"] == {executor_ticks}
    assert replayed["enforcer_ticks"] == {enforcer_ticks}
'''


@dataclass(frozen=True)
class Arguments:
    """What to run again."""

    file: Annotated[Path, tyro.conf.Positional]
    """The recording, as `ControlConfig(record=...)` left it."""
    save_test: Path | None = None
    """Make a regression test of it in this folder: a pytest file and a copy of the recording."""
    mcap: Path | None = None
    """Write it as an MCAP file, which Foxglove opens; takes `pip install 'vla-rt[mcap]'`."""
    mcap_rate: float | None = None
    """Of joints and ticks in that file [Hz]; by default every tick."""
    urdf: Path | None = None
    """Of the arm: shows tool and chunks in space there, and names the joints."""
    tip: str | None = None
    """Its link that is the tool."""
    json: Path | None = None
    """Write the result to this file."""


def run(arguments: Arguments) -> int:
    """Replay, print, write what was asked for."""
    require_writable(arguments.mcap, "mcap")
    require((arguments.urdf is None) == (arguments.tip is None), "tip", arguments.tip, "goes with urdf")
    recording = FlightRecording(arguments.file)
    result = examine(recording)
    _print(arguments.file, result)
    if arguments.mcap is not None:
        from vla_rt.mcap_log import LogView, write_mcap

        arm = None
        if arguments.urdf is not None and arguments.tip is not None:
            arm = Kinematics.from_urdf(str(arguments.urdf), tip=arguments.tip)
        view = LogView(rate_hz=arguments.mcap_rate, kinematics=arm)
        print(f"{write_mcap(arguments.file, arguments.mcap, view)} messages in {arguments.mcap}")
    write_json(arguments.json, result)
    if result["difference"] is not None:
        return EXIT_DIFFERENT
    if arguments.save_test is not None:
        print(f"regression test: {save_test(arguments.file, result, arguments.save_test)}")
    return 0


def examine(recording: FlightRecording) -> dict[str, Any]:
    """Replay a recording; what came of it beside what it is."""
    return {
        "num_joints": recording.num_joints,
        "period_s": recording.period_s,
        "chunks": recording.num_chunks,
        "pictures": recording.num_pictures,
        "part": recording.part,
        "cut_bytes": recording.cut_bytes,
        "has_tool_actions": recording.has_tool_actions,
        "has_surroundings": recording.has_surroundings,
        **recording.replay(),
    }


def save_test(file: Path, result: dict[str, Any], folder: Path) -> Path:
    """Make a regression test of a recording that replays.

    Raises:
        ConfigError: The folder cannot be written, or the test is there already.
    """
    name = re.sub(r"\W+", "_", file.stem).strip("_").lower() or "recording"
    test = folder / f"test_{name}.py"
    require(not test.exists(), "save_test", test, "is there already")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / f"{name}.flight")
        test.write_text(_TEST.format(name=name, **result), encoding="utf-8")
    except OSError as cause:
        raise error(ConfigError, "save_test", folder, f"cannot be written: {cause.strerror}") from cause
    return test


def _print(file: Path, result: dict[str, Any]) -> None:
    seconds = result["ticks"] * result["period_s"]
    print(f"{file}: {result['ticks']} ticks ({seconds:.1f} s), {result['chunks']} chunks")
    if result["part"]:
        print(f"  part {result['part']} of its run: compared from its first snapshot on")
    if result["cut_bytes"]:
        print(f"  cut or damaged: {result['cut_bytes']} bytes after the last whole record are left out")
    if result["has_tool_actions"]:
        print("  its chunks are of the tool: only the enforcer is run again")
    if result["has_surroundings"]:
        print("  recorded with walls or obstacles, which it does not hold: only the executor is run again")
    if result["gaps"] or result["missing_chunks"]:
        missing = f"{result['missing_ticks']} ticks and {result['missing_chunks']} chunks were dropped"
        print(f"  {missing}; commands are compared again from ticks {result['resumed_at']}")
    found = result["difference"]
    if found is None:
        compared = f"{result['executor_ticks']} wishes and {result['enforcer_ticks']} commands"
        print(f"  bit-exact: {compared} came out as recorded")
        return
    print(
        f"  first difference at tick {found['tick']}: {found['signal']} of joint {found['joint']} was "
        f"{found['recorded']!r}, is now {found['replayed']!r}"
    )
