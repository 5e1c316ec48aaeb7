"""Says plainly which extra is missing."""

from __future__ import annotations

from importlib.util import find_spec


def require_torch(user: str) -> None:
    """Raises ImportError with the command to run when PyTorch, which `user` is made of, is not installed."""
    try:
        found = find_spec("torch") is not None
    except ValueError:  # an entry of sys.modules that is no module
        found = False
    if not found:
        raise ImportError(f"{user} needs PyTorch, which is not installed; run: pip install 'vla-rt[train]'")
