"""Writes _core.pyi and _torch.pyi from the built modules; with --check, compares them instead."""

import difflib
import inspect
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch  # noqa: F401  (the backend links its libraries)

import vla_rt
from vla_rt import _backends, _core

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("_core", "_torch")


def error_classes() -> str:
    """The error family: made at run time, so that the generator only sees where it is published."""
    text = ""
    for name in ("VlaRtError", "ConfigError", "ModelError", "FormatError", "RealtimeError"):
        error = getattr(_core, name)
        bases = ", ".join(base.__name__ for base in error.__bases__)
        text += f'class {name}({bases}):\n    """{inspect.getdoc(error)}"""\n'
        text += "    name: str\n    value: str\n    bound: str\n" if name == "VlaRtError" else ""
    return text


BARE = {
    "dict": "dict[str, typing.Any]",
    "frozenset": "frozenset[typing.Any]",
    "list": "list[typing.Any]",
    "tuple": "tuple[typing.Any, ...]",
    "os.PathLike": "os.PathLike[str]",
    "collections.abc.Callable": "collections.abc.Callable[..., typing.Any]",
}


def signature(line: str) -> str:
    """A signature as mypy --strict wants it: generics with arguments, None only where it is declared."""
    if not re.match(r"\s*def |\s*\w+: ", line):
        return line
    for bare, full in BARE.items():
        line = re.sub(rf"(?<![\w.]){re.escape(bare)}(?![\w\[(.])", full, line)
    return re.sub(r"(\w+): (?!typing\.Any)([\w.]+) = None", r"\1: \2 | None = None", line)


def generate(module: str, folder: Path) -> str:
    enums = [name for name in vars(_core) if hasattr(getattr(_core, name), "__members__")]
    command = [
        sys.executable,
        "-c",
        "import torch, pybind11_stubgen; pybind11_stubgen.main()",
        f"vla_rt.{module}",
    ]
    command += [
        "--output-dir",
        str(folder),
        "--numpy-array-use-type-var",
        "--print-safe-value-reprs",
        ".*",
        "--exit-code",
    ]
    command += [f"--enum-class-locations={name}:vla_rt._core" for name in enums]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stdout + run.stderr)
    file = folder / "vla_rt" / f"{module}.pyi"
    text = file.read_text()
    if module == "_core":
        text = re.sub(r"^(TORCH_VERSION): .*", r"\1: str | None", text, flags=re.MULTILINE)
        text = re.sub(r"^from vla_rt import \w+Error\n", "", text, flags=re.MULTILINE)
        text = re.sub(
            r"^(__all__.*\n)", lambda m: m.group(1) + error_classes(), text, count=1, flags=re.MULTILINE
        )
    text = "".join(signature(line) for line in text.splitlines(keepends=True))
    file.write_text(text)
    ruff = [
        str(Path(sys.executable).parent / "ruff"),
        "format",
        "--quiet",
        "--config",
        str(ROOT / "pyproject.toml"),
    ]
    subprocess.run([*ruff, str(file)], check=True)
    return file.read_text()


def main() -> int:
    _backends.open_torch()
    stale = False
    with tempfile.TemporaryDirectory() as folder:
        for module in MODULES:
            target = ROOT / "python" / "vla_rt" / f"{module}.pyi"
            text = generate(module, Path(folder))
            if "--check" not in sys.argv:
                target.write_text(text)
            elif not target.exists() or target.read_text() != text:
                old = target.read_text() if target.exists() else ""
                sys.stderr.writelines(
                    list(
                        difflib.unified_diff(
                            old.splitlines(True), text.splitlines(True), str(target), "built"
                        )
                    )[:60]
                )
                stale = True
    print("stubs: stale, run 'make stubs'" if stale else f"stubs of vla_rt {vla_rt.__version__}: up to date")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
