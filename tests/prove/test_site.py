"""The documentation site builds strictly, and holds both references."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from commands import run

import vla_rt as vr

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder)
    run(*command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    return folder


def test_every_public_name_is_in_the_python_reference(site: Path) -> None:
    text = (site / "api/python/vla_rt/index.html").read_text()
    modules = {name for name in vr.__all__ if (site / f"api/python/vla_rt.{name}").is_dir()}
    for name in set(vr.__all__) - modules - {"__version__"}:
        assert f'id="vla_rt.{name}"' in text or f'id="vla_rt._core.{name}"' in text, name
    assert {"policies", "robots", "samplers", "tokenizers"} <= modules
    assert "Raises:" in text


def test_every_public_header_is_in_the_cpp_reference(site: Path) -> None:
    headers = ROOT / "cpp/include"
    text = "".join(page.read_text() for page in (site / "api/cpp").rglob("*.html"))
    for header in headers.rglob("*.h*"):
        name = header.relative_to(headers).as_posix()
        declares = re.search(
            r"^(class|struct|enum|using|\[\[nodiscard\]\]|inline|template)", header.read_text(), re.M
        )
        assert not declares or f"#include &lt;{name}&gt;" in text, name
    assert "impl_" not in text


def test_the_site_asks_the_network_for_nothing_of_its_own(site: Path) -> None:
    """Pages are readable offline: no fonts, no scripts from elsewhere."""
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', page.read_text())
        assert not loaded, f"{page}: {loaded}"
