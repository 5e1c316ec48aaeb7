"""Draw a recorded run: a picture (.png, .pdf, .svg) or a page with its figures (.html).

Of a flight recording (`logging.record`) or of a run with its arrays (`logging.recording`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vla_rt.cli.result import require_picture, require_writable, write_json


@dataclass(frozen=True)
class Arguments:
    """What is drawn, and where to."""

    recording: Annotated[Path, tyro.conf.Positional]
    """File that `vla-rt run` or `ControlConfig(record=...)` wrote."""
    out: Path | None = None
    """The picture or page; by default the recording's name with .png."""
    json: Path | None = None
    """Write the report of the run to this file."""


def run(arguments: Arguments) -> int:
    """Draws; returns 0."""
    from vla_rt.flight_run import is_flight, load_flight
    from vla_rt.run_plot import plot_recording, write_page
    from vla_rt.run_recording import load_run

    out = arguments.out if arguments.out is not None else arguments.recording.with_suffix(".png")
    is_page = out.suffix.lower() in (".html", ".htm")
    require_writable(out, "out")
    require_picture(out.with_suffix(".png") if is_page else out, "out")
    load = load_flight if is_flight(arguments.recording) else load_run
    recording = load(arguments.recording)
    (write_page if is_page else plot_recording)(recording, out)
    print(out)
    write_json(arguments.json, recording.report)
    return 0
