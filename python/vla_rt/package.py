"""Opens policy packages."""

from __future__ import annotations

import os

from vla_rt import _backends
from vla_rt._core import Policy, read_policy_spec
from vla_rt.errors import ModelError, error, require


def load_policy(path: str | os.PathLike[str], backend: str | None = None, threads: int = 1) -> Policy:
    """Opens a policy package.

    A TorchScript network is a program, and one compiled by AOTInductor is machine code: open only packages
    you trust.

    Args:
        path: Folder of the package.
        backend: Which of its networks to run; None takes the first of native and torchscript that the package
            has and this installation can run. `aotinductor` runs only when named.
        threads: 2 gives the native engine a second thread for its larger matrices, which spins while a chunk
            is made: for a core that is idle anyway. The answers are the same bits.

    Returns:
        The policy: `.sample(observation, seed=0, noise=None, step_noise=None)`, `.spec`, `.benchmark(n)`.

    Raises:
        ConfigError: `threads` is neither 1 nor 2.
        FormatError: Not a policy package, or one that is damaged; the field is named.
        ModelError: The backend is not part of this installation or of the package, or the package's device is
            not here; the message says why.
    """
    require(isinstance(path, str | os.PathLike), "path", path, "must be the folder of a policy package")
    spec = read_policy_spec(path)
    if backend is None:
        choices = [name for name in _backends.PREFERRED if name in spec.backends]
        backend = next((name for name in choices if name in _backends.available()), None)
        if backend is None:
            if choices:
                _backends.open_backend(choices[0])  # raises with the reason
            raise ModelError(
                f"backend: the package has {', '.join(spec.backends)}; name one of them to open it"
            )
    elif backend not in spec.backends:
        raise error(ModelError, "backend", backend, f"the package has {', '.join(spec.backends)}")
    _backends.open_backend(backend)
    return Policy.load(path, backend, threads)
