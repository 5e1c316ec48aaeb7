"""Draw a recorded run: a picture (.png, .pdf, .svg) or a page with its figures (.html).

`vla-rt run` writes the recording where the configuration names `logging.recording`.
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
    """File that `vla-rt run` wrote."""
    out: Path | None = None
    """The picture or page; by default the recording's name with .png."""
    json: Path | None = None
    """Write the report of the run to this file."""


def run(arguments: Arguments) -> int:
    """Draws; returns 0."""
    from vla_rt.run_plot import plot_recording, write_page
    from vla_rt.run_recording import load_run

    out = arguments.out if arguments.out is not None else arguments.recording.with_suffix(".png")
    is_page = out.suffix.lower() in (".html", ".htm")
    require_writable(out, "out")
    require_picture(out.with_suffix(".png") if is_page else out, "out")
    recording = load_run(arguments.recording)
    (write_page if is_page else plot_recording)(recording, out)
    print(out)
    write_json(arguments.json, recording.report)
    return 0
