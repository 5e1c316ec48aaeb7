"""Says plainly which extra is missing."""

from __future__ import annotations

from importlib.util import find_spec


def require_extra(module: str, user: str, extra: str, title: str | None = None) -> None:
    """Raises ImportError with the command to run when a module that `user` is made of is not installed.

    Args:
        module: Its import name.
        user: What needs it.
        extra: Of vla-rt, which brings it.
        title: What people call the module.
    """
    try:
        found = find_spec(module) is not None
    except ValueError:  # an entry of sys.modules that is no module
        found = False
    if not found:
        name = title if title is not None else module
        raise ImportError(f"{user} needs {name}, which is not installed; run: pip install 'vla-rt[{extra}]'")


def require_torch(user: str) -> None:
    """`require_extra` for PyTorch."""
    require_extra("torch", user, "train", "PyTorch")
