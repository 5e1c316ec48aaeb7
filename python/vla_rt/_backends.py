"""Opens the compiled backends when they are first needed, and says plainly why one cannot be opened."""

import importlib
import importlib.util

from vla_rt import _core
from vla_rt.errors import ModelError, error

#: Backends in the order in which `load_policy` prefers them; a name not here must be asked for.
PREFERRED = ("native", "torchscript")
#: Backends that live in `vla_rt._torch`.
_IN_TORCH = frozenset({"torchscript", "aotinductor"})


def open_backend(name: str) -> None:
    """Makes backend `name` known to the C++ registry.

    Raises:
        ModelError: It is not part of this build, or the torch beside it does not fit. The message says
            what was built, against what, and what to do.
    """
    if name in _IN_TORCH:
        open_torch()
    if name not in _core.backend_names():
        raise error(ModelError, "backend", name, f"this build has {', '.join(available()) or 'none'}")


def available() -> tuple[str, ...]:
    """Names of the backends that this installation can open now, preferred ones first."""
    names = set(_core.backend_names())
    if torch_problem() is None:
        names |= _IN_TORCH
    return tuple(sorted(names, key=lambda n: (PREFERRED.index(n) if n in PREFERRED else len(PREFERRED), n)))


def torch_problem() -> str | None:
    """One sentence saying why `vla_rt._torch` cannot be opened here, or None when it can."""
    built = _core.TORCH_VERSION
    if built is None:
        return (
            "The torch backend is not built: this vla_rt was compiled without torch; reinstall from "
            "source with VLA_RT_TORCH=1, or use the released wheel."
        )
    installed = _installed_torch()
    minor = _minor(built)
    if installed is None:
        return (
            f"The torch backend was built against torch {built}, and torch is not installed: "
            f"pip install 'torch=={minor}.*'."
        )
    if _minor(installed) != minor:
        return (
            f"The torch backend was built against torch {built}, and torch {installed} is installed: "
            f"pip install 'torch=={minor}.*', or rebuild vla_rt from source with VLA_RT_TORCH=1."
        )
    return None


def open_torch() -> None:
    """Imports `vla_rt._torch`, which registers its backends.

    Raises:
        ModelError: As `open_backend`.
    """
    problem = torch_problem()
    if problem is not None:
        raise ModelError(problem)
    try:
        importlib.import_module("vla_rt._torch")
    except ImportError as cause:
        if _was_interrupted(cause):
            raise KeyboardInterrupt from cause
        raise ModelError(
            f"The torch backend was built against torch {_core.TORCH_VERSION} and cannot be opened "
            f"beside torch {_installed_torch()}: {cause}; rebuild vla_rt from source with VLA_RT_TORCH=1."
        ) from cause


def _was_interrupted(failure: BaseException | None) -> bool:
    """Whether a Ctrl-C is behind an import that failed: pybind11 turns one into an ImportError."""
    while failure is not None and not isinstance(failure, KeyboardInterrupt):
        failure = failure.__cause__ or failure.__context__
    return failure is not None


def _installed_torch() -> str | None:
    from importlib import metadata  # as slow to import as half the package

    if importlib.util.find_spec("torch") is None:
        return None
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return str(importlib.import_module("torch").__version__)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
