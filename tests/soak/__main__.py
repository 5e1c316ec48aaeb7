"""Flies a ControlLoop at 1 kHz against a robot in another process, for hours, while everything goes wrong.

    python tests/soak [--seconds S] [--seed N] [--json FILE] [--plant leak | breach | silence]

Three processes: the pilot (control loop, policy, flight recorder), the peer (the robot's driver) and this
one, which brings the faults about and judges the recordings. Every fault must be seen, every one that passes
be recovered from, every one that does not end in the certified stop for its own reason; no command may break
a limit, every recording replays bit by bit, and the pilot's memory, threads and files stay as many as they
were. `--plant` makes the pilot leak or break a limit, or leaves the faults out: the soak must then fail.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from flights import Soak
from ledger import Ledger

PLANTS = ("", "leak", "breach", "silence")


def main() -> int:
    """Fly until the time is up; 1 when anything was not as it must be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long at least (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of which fault comes when (default 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary")
    parser.add_argument("--plant", choices=PLANTS, default="", help="a mistake that must be found")
    options = parser.parse_args()

    print(f"soak: {options.seconds:g} s, seed {options.seed}", flush=True)
    ledger, begin = Ledger(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), random.Random(options.seed), ledger, options.plant)
        try:
            elapsed = 0.0
            while elapsed < options.seconds or not (soak.complete or options.plant):
                line = soak.fly()
                elapsed = time.monotonic() - begin
                print(f"{elapsed:6.0f} s of {options.seconds:g}: {line}", flush=True)
        finally:
            soak.close()
    summary = {"seconds": elapsed, "seed": options.seed, "plant": options.plant, **ledger.summary()}
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    print(ledger.table())
    for problem in ledger.problems():
        print(f"not as it must be: {problem}")
    print("soak: " + ("not clean" if ledger.problems() else "clean"))
    return 1 if ledger.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
