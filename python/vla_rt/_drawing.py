"""What all pictures share: colours, style, page and file (matplotlib, loaded on first use)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vla_rt._files import write_whole
from vla_rt.errors import ConfigError, error

INK = "#24292f"
GRID = "#d0d7de"
LIMIT = "#cf222e"
SEAM = "#8c959f"
JOINTS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf8700", "#0e7490", "#9d174d")
STYLE: dict[Any, Any] = {
    "font.size": 8.5,
    "axes.edgecolor": SEAM,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
}


def figure(width: float, height: float) -> Any:
    """An empty white page [inches]."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def style() -> Any:
    """A context in which everything is drawn in one look."""
    try:
        import matplotlib as mpl
    except ImportError as cause:
        raise error(
            ConfigError, "matplotlib", "", "is not installed; run: pip install 'vla-rt[viz]'"
        ) from cause
    return mpl.rc_context(STYLE)


def save(picture: Any, path: Path) -> None:
    """Writes the whole picture or none; the path's ending chooses the format."""
    kind = path.suffix.removeprefix(".").lower() or "png"
    try:
        write_whole(path, lambda file: picture.savefig(file, dpi=130, format=kind))
    except (OSError, ValueError) as cause:
        raise error(ConfigError, "path", path, f"cannot be written: {cause}") from cause
