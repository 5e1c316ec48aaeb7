"""What fails while PyTorch captures or compiles a network, as errors of vla_rt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vla_rt._core import ModelError


@contextmanager
def as_model_error(what: str) -> Iterator[None]:
    """Within it, what fails becomes a ModelError: ``<what>: <kind>: <first line>``, with its cause."""
    try:
        yield
    except ModelError:
        raise
    except Exception as cause:  # the user's code runs here, and PyTorch's compilers: it may be of any kind
        reason = str(cause).strip().split("\n")[0]
        raise ModelError(f"{what}: {type(cause).__name__}: {reason}") from cause
