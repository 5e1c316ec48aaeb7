"""Try a policy package on a task in simulated time: success, motion, safety, latency.

The same seed repeats it, but for the latency, which is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from vla_rt.cli.result import require_picture, require_writable, write_json
from vla_rt.errors import ConfigError, error, require

if TYPE_CHECKING:
    from vla_rt.tasks import EvaluationResult
    from vla_rt.tasks.evaluation import Watcher


@dataclass(frozen=True)
class Arguments:
    """What is tried, and how."""

    package: Annotated[Path, tyro.conf.Positional]
    """Folder of the policy package."""
    task: Literal["reach", "pick", "blocks"] = "reach"
    """What the policy is to do: bring the tool or a cube to a goal, or touch the block that is named."""
    goals: int = 100
    """Trials to decide, each of a random number of its own; each is done in time or has failed."""
    mislead: bool = False
    """blocks: name another colour than the one that is judged, to see whether the policy listens."""
    seed: int = 1
    """Of goals and noise."""
    delay: float = 0.05
    """Simulated time from an observation to its chunk [s]."""
    replan: float | None = None
    """Time between two observations [s]; by default the package's execution horizon."""
    blend: float = 0.1
    """Cross-fade between two chunks [s]."""
    relative_to: str | None = None
    """Feature that the actions are differences to, as in `vla-rt train`; by default they are absolute."""
    backend: str | None = None
    """Network of the package to run; by default the first that this installation can open."""
    json: Path | None = None
    """Write the result to this file."""
    plot: Path | None = None
    """Draw the result into this PNG file."""
    html: Path | None = None
    """Write a page with figures and picture into this file; it needs nothing else to be shown."""
    video: Path | None = None
    """Film the beginning of it into this file, such as rollout.mp4; needs PyAV."""
    video_seconds: float = 30.0
    """How much of it [s]."""


def run(arguments: Arguments) -> int:
    """Evaluates the package; returns 0, or 1 when an emitted command broke a limit."""
    from vla_rt.datasets.instructions import InstructionVocabulary
    from vla_rt.package import load_policy
    from vla_rt.tasks import TASKS, BlocksConfig, EvaluationConfig, evaluate

    require_writable(arguments.plot, "plot")
    require_picture(arguments.plot)
    require_writable(arguments.html, "html")
    require_picture(None if arguments.html is None else arguments.html.with_suffix(".png"), "html")
    require_writable(arguments.video, "video")
    require(arguments.goals >= 1, "goals", arguments.goals, "must be >= 1")
    policy = load_policy(arguments.package, arguments.backend)
    spec = policy.spec.to_dict()
    replan = spec["execution_horizon"] * spec["period_s"] if arguments.replan is None else arguments.replan
    blocks = arguments.task == "blocks"
    require(
        blocks or not arguments.mislead, "mislead", True, "is for the task blocks, which has instructions"
    )
    task = BlocksConfig(mislead=arguments.mislead) if blocks else TASKS[arguments.task]()
    vocabulary = InstructionVocabulary.load(arguments.package)
    config = EvaluationConfig(
        duration_s=arguments.goals * (task.timeout_s + 1.0),
        goals=arguments.goals,
        period_s=spec["period_s"],
        replan_s=replan,
        delay_s=arguments.delay,
        blend_s=arguments.blend,
        seed=arguments.seed,
        relative_to=arguments.relative_to,
        task=task,
    )
    words = None if vocabulary is None else vocabulary.encode
    with _filming(arguments) as watch:
        result = evaluate(policy, config, words=words, watch=watch)
    _print(result, arguments)
    settings: dict[str, Any] = {
        "goals": config.goals,
        "seed": config.seed,
        "delay_s": config.delay_s,
        "replan_s": replan,
    }
    if blocks:
        settings["mislead"] = arguments.mislead
    write_json(
        arguments.json,
        {"package": arguments.package, "task_name": arguments.task, "config": settings, **result.to_dict()},
    )
    if arguments.plot is not None or arguments.html is not None:
        _draw(result, arguments, getattr(task, "tolerance", None), settings)
    return 0 if result.limit_violations == 0 else 1


def _draw(
    result: EvaluationResult, arguments: Arguments, tolerance_m: float | None, settings: dict[str, Any]
) -> None:
    from vla_rt.evaluation_plot import plot_evaluation, write_evaluation_page

    count = f"{result.task.reached} of {result.task.attempted}"
    title = f"{arguments.task}: {count} goals reached by {arguments.package.name}"
    if arguments.plot is not None:
        plot_evaluation(result, arguments.plot, title, tolerance_m)
    if arguments.html is not None:
        how = [("package", str(arguments.package)), *((name, str(v)) for name, v in settings.items())]
        tables = [("Figures", _rows(result)), ("How it was tried", how)]
        write_evaluation_page(result, arguments.html, title, tolerance_m, tables)


@contextmanager
def _filming(arguments: Arguments) -> Iterator[Watcher | None]:
    """What films an evaluation, if that is asked for."""
    if arguments.video is None:
        yield None
        return
    from vla_rt.tasks.rollout_video import RolloutVideo

    seconds = arguments.video_seconds
    require(seconds > 0, "video_seconds", seconds, "must be > 0")
    try:
        video = RolloutVideo(arguments.video, seconds)
    except (ImportError, ValueError) as cause:  # no PyAV, or no container of this name
        raise error(ConfigError, "video", arguments.video, str(cause)) from cause
    try:
        yield video.watch
    except BaseException:
        video.discard()
        raise
    video.finish()


def _print(result: EvaluationResult, arguments: Arguments) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"{arguments.package} on {arguments.task}, seed {arguments.seed}"
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, text in _rows(result):
        table.add_row(name, text)
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def _rows(result: EvaluationResult) -> list[tuple[str, str]]:
    task, (low, high) = result.task, result.success_interval
    rate = f"{100 * task.success_rate:.1f} %" if task.attempted else "none decided"
    latency: dict[str, Any] = result.inference_ms
    mean = f", {sum(task.times_s) / len(task.times_s):.2f} s each" if task.times_s else ""
    return [
        (
            "success",
            f"{rate}, {task.reached} of {task.attempted}; 95 % interval {100 * low:.1f}..{100 * high:.1f} %"
            + "".join(f"; {reason}: {count}" for reason, count in task.failures.items()),
        ),
        ("simulated", f"{result.duration_s:.1f} s{mean}"),
        (
            "path",
            f"{result.path_length_m:.3f} m a goal, {result.path_ratio:.2f} times the shortest where reached",
        ),
        (
            "smoothness",
            f"spectral arc length {result.spectral_arc_length:.2f}, "
            f"squared jerk {result.squared_jerk:.3g} rad²/s⁶",
        ),
        (
            "safety",
            f"{result.limit_violations} emitted violations; {result.violation_wishes_per_min:.1f} wishes "
            f"a minute had to be changed, {100 * result.limited:.2f} % of the ticks",
        ),
        ("tracking error", f"{1e3 * result.tracking_rms:.2f} mrad rms"),
        ("without a plan", f"{100 * result.starved:.2f} % of the ticks"),
        (
            "inference",
            "  ".join(f"{key} {latency[key]:.2f}" for key in ("p50", "p95", "p99", "max", "first")) + " ms",
        ),
    ]
