"""Entry point of `vla-rt`.

A subcommand is a line in `COMMANDS` and a module `vla_rt.cli.<name>` with

* a frozen dataclass `Arguments`, whose documented fields become the flags; one is `json: Path | None = None`,
* `run(arguments) -> int`, which returns the exit code.

Only the module of the subcommand that was asked for is imported, so that `vla-rt --help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vla_rt import VlaRtError, __version__

COMMANDS: dict[str, str] = {
    "bench": "measure a policy package on this machine, and say what would make it faster",
    "demo": "record, train, export and run a policy at 1 kHz on a simulated arm, safely",
    "doctor": "check this machine for real-time use, and say how to fix what is not right",
    "eval": "try a policy package on a task: success, motion, safety, latency",
    "export": "make a policy package of a LeRobot checkpoint (ACT, diffusion)",
    "inspect": "say what a policy package is",
    "plot": "draw a recorded run: a picture, or a page with its figures",
    "record": "record a scripted expert into a LeRobot dataset",
    "replay": "run a flight recording again, bit by bit; make a test or an MCAP file of it",
    "run": "run a robot as a configuration file says",
    "serve": "serve a policy package over openpi's protocol",
    "train": "train a policy on a LeRobot dataset and export it",
}

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        argv: Words after `vla-rt`; None takes them from the command line.

    Returns:
        The exit code: the subcommand's own, 2 after an error of the VlaRtError family (one line on stderr),
        130 after Ctrl-C or SIGTERM, which a run ends with the certified stop.

    Raises:
        SystemExit: For `--help` of a subcommand and for flags that it does not know.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0 if words else EXIT_ERROR
    if words[0] == "--version":
        print(f"vla-rt {__version__}")
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        print(f"vla-rt: no subcommand {name!r}; there are: {', '.join(COMMANDS)}", file=sys.stderr)
        return EXIT_ERROR
    try:
        with _terminated_like_interrupted():
            return _run(name, rest)
    except VlaRtError as error:
        print(f"vla-rt {name}: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`| head`); keep the interpreter from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM, as service managers send it, ends a command as Ctrl-C does: a run by its certified stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(name: str, rest: Sequence[str]) -> int:
    import tyro

    from vla_rt.cli.result import require_writable

    command = importlib.import_module(f"vla_rt.cli.{name}")
    arguments = tyro.cli(command.Arguments, prog=f"vla-rt {name}", description=command.__doc__, args=rest)
    require_writable(arguments.json)
    return int(command.run(arguments))


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {line}" for name, line in COMMANDS.items()]
    return "\n".join(
        [
            "usage: vla-rt COMMAND [options]",
            "",
            *lines,
            "",
            "`vla-rt COMMAND --help` lists the options of one; `--json FILE` writes its result.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
