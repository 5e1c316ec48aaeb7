"""One page of HTML that needs nothing else to be shown: figures and pictures, no scripts, no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vla_rt._drawing import GRID, INK, LIMIT
from vla_rt._files import write_whole
from vla_rt.errors import ConfigError, error

__all__ = ["png_of", "write_page"]

_STYLE = f"""
:root {{ color-scheme: light }}
body {{ font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; color: {INK}; background: #fff;
  margin: 2rem auto; padding: 0 1rem; max-width: 78rem }}
h1 {{ font-size: 1.4rem; margin: 0 0 .2rem }}
.verdict {{ display: inline-block; padding: .15rem .6rem; border-radius: .3rem; margin-bottom: 1rem;
  background: #dafbe1; color: #116329 }}
.verdict.bad {{ background: #ffebe9; color: {LIMIT} }}
.sections {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(23rem, 1fr)); gap: 0 2.5rem }}
h2 {{ font-size: 1rem; margin: 1rem 0 .2rem }}
table {{ border-collapse: collapse; width: 100% }}
th {{ text-align: left; padding: .2rem 1rem .2rem 0; font-weight: 400; color: #57606a; vertical-align: top;
  white-space: nowrap }}
td {{ padding: .2rem 0; font-variant-numeric: tabular-nums }}
tr {{ border-bottom: 1px solid {GRID} }}
figure {{ margin: 1.5rem 0 }} img {{ max-width: 100% }} figcaption {{ color: #57606a }}
@media print {{ body {{ margin: 0; max-width: none }} figure {{ break-inside: avoid }} }}
"""

#: Title of a section -> (what, figures)
Sections = Sequence[tuple[str, Sequence[tuple[str, str]]]]


def png_of(figure: Any) -> bytes:
    """A matplotlib figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, dpi=130, format="png")
    return stream.getvalue()


def write_page(
    path: Path,
    title: str,
    verdict: tuple[bool, str],
    sections: Sections,
    pictures: Sequence[tuple[str, bytes]],
) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: The page.
        title: Its headline.
        verdict: Whether it went well, and in a few words how.
        sections: Tables of figures.
        pictures: (caption, PNG).

    Raises:
        ConfigError: The file cannot be written.
    """
    is_good, words = verdict
    tables = "\n".join(
        f"<section><h2>{html.escape(name)}</h2><table>\n{_rows(rows)}\n</table></section>"
        for name, rows in sections
        if rows
    )
    figures = "\n".join(
        f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,'
        f'{base64.b64encode(picture).decode()}"><figcaption>{html.escape(caption)}</figcaption></figure>'
        for caption, picture in pictures
    )
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>
<h1>{html.escape(title)}</h1>
<div class="{"verdict" if is_good else "verdict bad"}">{html.escape(words)}</div>
<div class="sections">
{tables}
</div>
{figures}
</body></html>
"""

    def write(file: Path) -> None:
        file.write_text(text, encoding="utf-8")

    try:
        write_whole(path, write)
    except OSError as cause:
        raise error(ConfigError, "html", path, f"cannot be written ({cause.strerror})") from cause


def _rows(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(
        f"<tr><th>{html.escape(what)}</th><td>{html.escape(text)}</td></tr>" for what, text in rows
    )
