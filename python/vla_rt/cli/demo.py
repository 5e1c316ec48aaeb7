"""Record an expert, train a policy on it, export it, and run it at 1 kHz within certified limits."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vla_rt.cli.result import require_picture, require_writable, write_json
from vla_rt.demo.preparation import Preparation, PreparationConfig, prepare
from vla_rt.demo.safe_run import DemoResult, SafeRunConfig, run_policy

if TYPE_CHECKING:
    from rich.console import Console

_DEFAULTS = PreparationConfig()


@dataclass(frozen=True)
class Arguments:
    """What the demonstration is told.

    Attributes:
        duration: Length of the run [s].
        seed: Of the goals of the run.
        json: Write the result to this file.
        plot: Draw the run into this PNG file.
        retrain: Make the policy anew, even if it is in the cache.
        realtime: Refuse to run without real-time privileges, or run and report what was refused.
        cache_dir: Where trained policies are kept [default: $XDG_CACHE_HOME/vla_rt/demo].
        episodes: Demonstrations to record for the training.
        steps: Training steps.
        training_seed: Of recording and training.
        trial: How long a new policy is tried in simulated time before the run [s]; 0 is not at all.
    """

    duration: float = 10.0
    seed: int = 0
    json: Path | None = None
    plot: Path | None = None
    retrain: bool = False
    realtime: Literal["best_effort", "enforce"] = "best_effort"
    cache_dir: Path | None = None
    episodes: int = _DEFAULTS.episodes
    steps: int = _DEFAULTS.steps
    training_seed: int = _DEFAULTS.seed
    trial: float = _DEFAULTS.evaluation_s


def run(arguments: Arguments) -> int:
    """Runs the demonstration.

    Returns:
        0; 1 when the run faulted, broke a limit or reached fewer than nine goals of ten; 130 after Ctrl-C.
    """
    from rich.console import Console

    require_writable(arguments.json)
    require_writable(arguments.plot, "plot")
    require_picture(arguments.plot)
    preparation_config = PreparationConfig(
        episodes=arguments.episodes,
        steps=arguments.steps,
        seed=arguments.training_seed,
        evaluation_s=arguments.trial,
    )
    run_config = SafeRunConfig(arguments.duration, arguments.seed, arguments.realtime)
    preparation_config.validate()
    run_config.validate()

    console = Console()

    def announce(text: str) -> None:
        console.print(f"[dim]·[/dim] {text}", highlight=False)

    try:
        preparation = prepare(preparation_config, arguments.cache_dir, arguments.retrain, announce)
    except KeyboardInterrupt:
        announce("interrupted; what was done is kept, the next call goes on from there")
        raise
    if preparation.cached:
        announce(f"using the trained package {preparation.package}")
    from vla_rt.package import load_policy

    policy = load_policy(preparation.package)
    announce(f"running for {arguments.duration:g} s: inference in C++, control at 1 kHz, goals never seen")
    result = run_policy(policy, preparation.goals, run_config)
    with _uninterrupted():
        _tell(result, preparation, arguments, console, announce)
    if result.report.interrupted:
        return 130
    if not result.sound:
        print("vla-rt demo: the run was not as it should be; see the red lines above", file=sys.stderr)
        return 1
    return 0


def _tell(
    result: DemoResult,
    preparation: Preparation,
    arguments: Arguments,
    console: Console,
    announce: Callable[[str], None],
) -> None:
    from vla_rt.demo.table import result_table

    console.print(result_table(result))
    write_json(
        arguments.json,
        {
            **result.to_dict(),
            "seed": arguments.seed,
            "preparation": {**preparation.info, "cached": preparation.cached, "package": preparation.package},
        },
    )
    if arguments.plot is not None:
        from vla_rt.plots import plot_run

        plot_run(result, arguments.plot)
    for path in (arguments.json, arguments.plot):
        if path is not None:
            announce(f"wrote {path}")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C, while the arm stopped or just after, must not cost the report."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
