"""The Python reference: a page per module, of the names in its `__all__` (an mkdocs hook)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: Modules in the order of the site's navigation.
MODULES = (
    "vla_rt",
    "vla_rt.robots",
    "vla_rt.samplers",
    "vla_rt.rtc",
    "vla_rt.tokenizers",
    "vla_rt.rotations",
    "vla_rt.policies",
    "vla_rt.training",
    "vla_rt.datasets",
    "vla_rt.tasks",
    "vla_rt.metrics",
    "vla_rt.plots",
    "vla_rt.run_config",
    "vla_rt.run_recording",
    "vla_rt.flight_run",
    "vla_rt.mcap_log",
    "vla_rt.safe_execution",
    "vla_rt.integrations.lerobot",
    "vla_rt.integrations.openpi",
    "vla_rt.integrations.ros2",
)
_FOLDER = "api/python"


def names_of(module: str) -> list[str]:
    """What a module offers: its `__all__`, without modules that have a page of their own and constants."""
    path = ROOT / "python" / module.replace(".", "/")
    file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return [name for name in names if f"{module}.{name}" not in MODULES and name != "__version__"]
    raise ValueError(f"{module} has no __all__")


def page(module: str) -> str:
    """The page of a module, as Markdown."""
    parts = [f"# {module}", ""]
    for name in names_of(module):
        parts += [f"::: {module}.{name}", ""]
    return "\n".join(parts)


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages to those of the site."""
    from mkdocs.structure.files import File

    for module in MODULES:
        files.append(File.generated(config, f"{_FOLDER}/{module}.md", content=page(module)))
    return files
