"""The loss of a run as a CSV file and as a picture."""

from __future__ import annotations

import csv
from pathlib import Path

COLUMNS = ("step", "loss", "learning_rate", "gradient_norm", "samples_per_s")


class TrainingLog:
    """Appends one line per interval; a resumed run first drops the lines that it is going to repeat.

    Args:
        path: The CSV file, or None to write nothing.
        start_step: Steps already done; 0 starts a new file.
    """

    def __init__(self, path: Path | None, start_step: int) -> None:
        self._path = path
        if path is None:
            return
        kept = (
            [row for row in read_log(path) if row["step"] <= start_step]
            if start_step and path.exists()
            else []
        )
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows([f"{row[name]:.9g}" for name in COLUMNS] for row in kept)

    def append(
        self, step: int, loss: float, learning_rate: float, gradient_norm: float, samples_per_s: float
    ) -> None:
        """Adds the mean of an interval that ended after ``step`` steps."""
        if self._path is None:
            return
        with self._path.open("a", newline="") as file:
            values = (step, loss, learning_rate, gradient_norm, samples_per_s)
            csv.writer(file).writerow([f"{value:.9g}" for value in values])


def read_log(path: Path) -> list[dict[str, float]]:
    """Lines of a log, by column; a last line cut short by a crash is left out."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if all(row.get(name) for name in COLUMNS)]
    return [{name: float(row[name]) for name in COLUMNS} for row in rows]
